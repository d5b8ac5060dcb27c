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


def lua_score(body, given=""):
    return f"function(n, distance, field, out{given}) for i = 0, n - 1 do {body} end end"


# name: source, and what it does to the distance and fields of one record, and with its options
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
    "weighed": (
        lua_score("out[i] = o.sign * distance[i] + field[o.of.name][i] / o.of.unit", ", o"),
        lambda d, f, sign, of: sign * d + number(f, of["name"]) / of["unit"],
    ),
}


def rescore(hits):
    return sorted(((i, s + r["fields"]["age"], r) for i, s, r in hits), key=lambda h: h[1])


def boost(hits, field="boost", weight=0.1):
    low, high = min(h[1] for h in hits), max(h[1] for h in hits)
    unit = weight * (high - low if high > low else 1)
    return sorted(
        ((i, s - unit * r["fields"].get(field, 0), r) for i, s, r in hits), key=lambda h: h[1]
    )


def recency(hits, half_life_days=30, weight=1, now=None):
    low, high = min(h[1] for h in hits), max(h[1] for h in hits)
    spread = high - low if high > low else 1
    newest = now or max(r["fields"]["created_at"] for _, _, r in hits)

    def moved(hit):
        i, s, r = hit
        age = max(newest - r["fields"]["created_at"], 0)
        fresh = 0.5 ** (age / (half_life_days * DAY))
        return (i, s + weight * spread * (1 - fresh), r)

    return sorted((moved(h) for h in hits), key=lambda h: h[1])


def mmr(hits, **options):
    share = options.get("lambda", 0.5)
    low, high = min(h[1] for h in hits), max(h[1] for h in hits)
    spread = high - low if high > low else 1
    left, order = list(hits), []
    while left:

        def value(hit):
            alike = max(
                (1 - distance("cosine", hit[2]["vector"], o[2]["vector"]) for o in order), default=0
            )
            return share * (1 - (hit[1] - low) / spread) - (1 - share) * alike

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
    ("l2", [P], 9, None, None, "mmr", None),
]

WEIGHED = {"sign": -1, "of": {"name": "age", "unit": 16}}
LATELY = {"half_life_days": 7, "weight": 0.5, "now": 1699000000}
STARS = {"field": "stars", "weight": 0.25}


def kept(point, name, options, on_failure="fail"):
    source = (SCORES if point == "score" else RERANKS)[name][0]
    return {"point": point, "source": source, "options": options, "on_failure": on_failure}


KEPT = [kept("score", "weighed", WEIGHED), kept("rerank", "boost", STARS)]
FAILING = kept("rerank", "mmr", {"lambda": 7})

# A case as above; what is asked for beside it; and the score and rerank that answer, where they are
# not its own.
OPTION_CASES = [
    (("l2", [P], 9, None, None, "mmr", None), {"rerank_options": {"lambda": 0.75}}, None),
    (("l2", [P], 9, None, None, "recency", None), {"rerank_options": LATELY}, None),
    (("ip", [Q], 9, None, None, "boost", None), {"rerank_options": STARS}, None),
    (("l2", [Q, P], 8, None, "weighed", None, None), {"score_options": WEIGHED}, None),
    (
        ("l2", [P], 8, None, "weighed", "boost", None),
        {"score_options": WEIGHED, "rerank_options": STARS},
        None,
    ),
    (("l2", [Q], 8, None, None, None, None), {"installed": KEPT}, ("weighed", "boost")),
    (("l2", [Q], 8, None, "age", None, None), {"installed": KEPT}, ("age", "boost")),
    (("l2", [Q], 8, None, None, None, None), {"installed": KEPT, "hooks": False}, (None, None)),
    (
        ("l2", [Q, P], 8, None, "age", None, None),
        {"installed": [FAILING | {"on_failure": "skip"}], "skipped": ["rerank"]},
        ("age", None),
    ),
]
ERRORS = [
    ({"score": "function(n) error 'no' end", "score_callback": "fail"}, "HOOK"),
    ({"rerank": "function(hits) return 5 end", "rerank_callback": "fail"}, "HOOK"),
    ({"score": "return 1 +"}, "PARSE"),
    ({"rerank": "nonesuch"}, "NOT_FOUND"),
    ({"score": SCORES["age"][0], "score_callback": "age", "where": "n >"}, "PARSE"),
    ({"rerank": "mmr", "rerank_options": {"lambda": 7}}, "HOOK"),
    ({"installed": [FAILING]}, "HOOK"),
]


def expect(metric, query, k, where, score, rerank, reach, given):
    hits = []
    for r in live_rows():
        if where and not WHERES[where](r["fields"]):
            continue
        d = distance(metric, r["vector"], query)
        s = SCORES[score][1](d, r["fields"], **given.get(score, {})) if score else d
        if not math.isnan(s) and (reach is None or s <= reach):
            hits.append((r["id"], s, r))
    hits.sort(key=lambda h: (h[1], h[0]))
    hits = hits[: k or 1000]
    if rerank and hits:
        hits = RERANKS[rerank][1](hits, **given.get(rerank, {}))
    return [[i, s] for i, s, _ in hits]


def scenario(case, asked, answers):
    metric, queries, k, where, score, rerank, reach = case
    given = {"weighed": WEIGHED, "boost": STARS} if answers else {}
    given |= {score: asked.get("score_options", {}), rerank: asked.get("rerank_options", {})}
    score_of, rerank_of = answers or (score, rerank)
    one = {"metric": metric, "queries": queries}
    one["expected"] = [
        expect(metric, q, k, where, score_of, rerank_of, reach, given) for q in queries
    ]
    for name, value in (("k", k), ("where", where), ("range", reach)):
        if value is not None:
            one[name] = value
    if score:
        one |= {"score": SCORES[score][0], "score_callback": score}
    if rerank:
        one["rerank"] = RERANKS[rerank][0]
        if one["rerank"] != rerank:
            one["rerank_callback"] = rerank
    return one | asked


def make():
    scenarios = [scenario(case, {}, None) for case in CASES]
    scenarios += [scenario(*case) for case in OPTION_CASES]
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
