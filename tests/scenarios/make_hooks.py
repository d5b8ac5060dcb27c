# SPDX-License-Identifier: Apache-2.0
"""make_hooks.py [--check]: hooks.json, the table of score and rerank scenarios that C, Lua and
Python all run.  What is expected is computed here, by brute force and without the engine."""

import json
import math
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("hooks.json")
DIM = 3
NAN = float("nan")
DAY = 24 * 3600


def row(i, shift=0):
    a, b, c = (i * 7 + shift) % 11 - 4, (i * 5) % 7 - 2, 1 + (i * 3) % 5
    fields = {"n": i, "age": (i * 37) % 100, "deep": {"x": i % 3}}
    if i % 4:
        fields["stars"] = i % 10
    if i % 3 == 0:
        fields["boost"] = i % 5
    fields["created_at"] = 1700000000 - (i % 6) * 10 * DAY
    return {"id": i, "vector": [a / 4, b / 4, c / 4], "fields": fields}


SEALED = [row(i) for i in range(30)]
TAIL = [row(i) for i in range(30, 40)]
UPSERTED = [row(3, 2), row(17, 5), row(35, 1)]
DELETED = [2, 11, 29, 33]


def live_rows():
    rows = {r["id"]: r for r in SEALED + TAIL + UPSERTED}
    return [rows[i] for i in sorted(rows) if i not in DELETED]


def distance(metric, a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    if metric == "ip":
        return -dot
    if metric == "l2":
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def number(fields, name):
    value = fields.get(name)
    return float(value) if isinstance(value, int) else NAN


def lua_score(body):
    return f"function(n, distance, field, out) for i = 0, n - 1 do {body} end end"


# name: source, and what it does to the distance and fields of one record
SCORES = {
    "age": (
        lua_score("out[i] = distance[i] + field.age[i] / 64"),
        lambda d, f: d + number(f, "age") / 64,
    ),
    "negate": (lua_score("out[i] = -distance[i]"), lambda d, f: -d),
    "stars": (
        lua_score("out[i] = distance[i] - field.stars[i]"),
        lambda d, f: d - number(f, "stars"),
    ),
    "guarded": (
        lua_score("local s = field.stars[i]; out[i] = s == s and s or 100"),
        lambda d, f: float(f.get("stars", 100)),
    ),
    "drop_young": (
        lua_score("if field.age[i] < 50 then out[i] = 0 / 0 end"),
        lambda d, f: NAN if f["age"] < 50 else d,
    ),
    "constant": (lua_score("out[i] = 1"), lambda d, f: 1.0),
    "drop_all": (lua_score("out[i] = 0 / 0"), lambda d, f: NAN),
    "deep": (
        lua_score('out[i] = field["deep.x"][i] * 8 + distance[i]'),
        lambda d, f: f["deep"]["x"] * 8 + d,
    ),
    "none": (lua_score("out[i] = field.nowhere[i]"), lambda d, f: NAN),
}


def rescore(hits):
    return sorted(((i, s + r["fields"]["age"], r) for i, s, r in hits), key=lambda h: h[1])


def boost(hits):
    low, high = min(h[1] for h in hits), max(h[1] for h in hits)
    unit = 0.1 * (high - low if high > low else 1)
    return sorted(
        ((i, s - unit * r["fields"].get("boost", 0), r) for i, s, r in hits), key=lambda h: h[1]
    )


def recency(hits):
    low, high = min(h[1] for h in hits), max(h[1] for h in hits)
    spread = high - low if high > low else 1
    newest = max(r["fields"]["created_at"] for _, _, r in hits)

    def moved(hit):
        i, s, r = hit
        fresh = 0.5 ** ((newest - r["fields"]["created_at"]) / (30 * DAY))
        return (i, s + spread * (1 - fresh), r)

    return sorted((moved(h) for h in hits), key=lambda h: h[1])


def mmr(hits):
    low, high = min(h[1] for h in hits), max(h[1] for h in hits)
    spread = high - low if high > low else 1
    left, order = list(hits), []
    while left:

        def value(hit):
            alike = max(
                (1 - distance("cosine", hit[2]["vector"], o[2]["vector"]) for o in order), default=0
            )
            return 0.5 * (1 - (hit[1] - low) / spread) - 0.5 * alike

        best = max(left, key=value)
        left.remove(best)
        order.append(best)
    return order


RERANKS = {
    "reverse": (
        "function(hits) local o = {} for i = #hits, 1, -1 do o[#o + 1] = hits[i] end return o end",
        lambda hits: hits[::-1],
    ),
    "first_two": ("function(hits) return { hits[1], hits[2] } end", lambda hits: hits[:2]),
    "rescore": (
        """function(hits)
  for i = 1, #hits do hits[i].score = hits[i].score + hits[i].field.age end
  table.sort(hits, function(a, b) return a.score < b.score end)
  return hits
end""",
        rescore,
    ),
    "drop_first": (
        "function(hits) if hits[1] then hits[1].score = 0 / 0 end return hits end",
        lambda hits: hits[1:],
    ),
    "mmr": ("mmr", mmr),
    "recency": ("recency", recency),
    "boost": ("boost", boost),
}

WHERES = {
    "age > 40": lambda f: f["age"] > 40,
    "stars IS NULL": lambda f: "stars" not in f,
    "n >= 25 AND age < 60": lambda f: f["n"] >= 25 and f["age"] < 60,
    "n < 0": lambda f: False,
}
Q, P = [0.5, 0.25, 1.0], [-0.75, 1.0, 0.5]

# metric, queries, k, where, score, rerank, range
CASES = [
    *[(m, [Q], 5, None, s, None, None) for m in ("ip", "l2", "cosine") for s in ("age", "negate")],
    ("l2", [Q], 7, "age > 40", "age", None, None),
    ("ip", [Q], 7, "stars IS NULL", "negate", None, None),
    ("cosine", [P], 50, "n >= 25 AND age < 60", "deep", None, None),
    ("l2", [Q], 5, "n < 0", "age", None, None),
    ("l2", [Q], 50, None, "drop_young", None, None),
    ("ip", [Q], 5, None, "drop_all", None, None),
    ("l2", [Q], 40, None, "stars", None, None),
    ("l2", [Q], 5, None, "none", None, None),
    ("ip", [P], 36, None, "guarded", None, None),
    ("l2", [Q], 12, None, "constant", None, None),
    ("l2", [Q, P], 4, None, "age", None, None),
    ("cosine", [Q, P], 4, "age > 40", "negate", "reverse", None),
    ("l2", [Q], None, None, "deep", None, 6.0),
    ("l2", [P], None, "age > 40", "age", None, 2.5),
    ("l2", [Q], 100, None, "age", None, None),
    ("ip", [Q], 6, None, None, "reverse", None),
    ("l2", [Q], 6, None, None, "first_two", None),
    ("l2", [Q], 6, None, None, "rescore", None),
    ("cosine", [P], 6, None, None, "drop_first", None),
    ("l2", [P], 6, None, "age", "rescore", None),
    ("l2", [Q], 6, "n < 0", None, "reverse", None),
    ("ip", [Q], 9, None, None, "boost", None),
    ("l2", [P], 9, None, None, "recency", None),
    ("l2", [Q], 9, None, None, "mmr", None),
]
ERRORS = [
    ({"score": "function(n) error 'no' end", "score_callback": "fail"}, "HOOK"),
    ({"rerank": "function(hits) return 5 end", "rerank_callback": "fail"}, "HOOK"),
    ({"score": "return 1 +"}, "PARSE"),
    ({"rerank": "nonesuch"}, "NOT_FOUND"),
    ({"score": SCORES["age"][0], "score_callback": "age", "where": "n >"}, "PARSE"),
]


def expect(metric, query, k, where, score, rerank, reach):
    hits = []
    for r in live_rows():
        if where and not WHERES[where](r["fields"]):
            continue
        d = distance(metric, r["vector"], query)
        s = SCORES[score][1](d, r["fields"]) if score else d
        if not math.isnan(s) and (reach is None or s <= reach):
            hits.append((r["id"], s, r))
    hits.sort(key=lambda h: (h[1], h[0]))
    hits = hits[: k or 1000]
    if rerank and hits:
        hits = RERANKS[rerank][1](hits)
    return [[i, s] for i, s, _ in hits]


def make():
    scenarios = []
    for metric, queries, k, where, score, rerank, reach in CASES:
        one = {"metric": metric, "queries": queries}
        one["expected"] = [expect(metric, q, k, where, score, rerank, reach) for q in queries]
        for name, value in (("k", k), ("where", where), ("range", reach)):
            if value is not None:
                one[name] = value
        if score:
            one |= {"score": SCORES[score][0], "score_callback": score}
        if rerank:
            one["rerank"] = RERANKS[rerank][0]
            if one["rerank"] != rerank:
                one["rerank_callback"] = rerank
        scenarios.append(one)
    for options, code in ERRORS:
        scenarios.append({"metric": "l2", "queries": [Q], "k": 5, "error": code, **options})
    data = {"sealed": SEALED, "tail": TAIL, "upserted": UPSERTED, "deleted": DELETED, "dim": DIM}
    lines = [f'"{name}": {json.dumps(value)}' for name, value in data.items()]
    table = ",\n".join(json.dumps(s) for s in scenarios)
    return "{\n" + ",\n".join(lines) + ',\n"scenarios": [\n' + table + "\n]}\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TABLE.read_text() != make())
    TABLE.write_text(make())
