# SPDX-License-Identifier: Apache-2.0
"""Random `where` expressions over random rows, against SQLite.

    python3 tests/filter/compare_sqlite.py build/release [--expressions N] [--rows N] [--seed N]

Both get the same text, but for what docs/WHERE.md lists under "Where it differs from SQLite": there
SQLite is asked what the rule says.  What SQLite cannot be asked is left out, at most one in twenty;
the driver (where_driver.c) checks that too: NOT, and what is printed, must agree with the answer.
"""

import argparse
import math
import pathlib
import random
import sqlite3
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from cases import Cases, expect

BATCH = 1000
COMPARED_MIN = 0.95

INTS = [-2, -1, 0, 1, 1, 2, 3, 5, 100, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
FLOATS = [-0.5, 0.0, -0.0, 0.1, 1.0, 1.5, 2.0, 5.0, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63)]
FLOATS += [1e300, -1e-300, math.inf, -math.inf, 3.0, 100.0]
TEXTS = ["", "a", "A", "ab", "aB%", "_x", "it's", 'say "hi"', "é", "É", "日本", "日本語", "5", "1"]
TEXTS += ["-0.5", "a\\b", "%", "_", "abcabc", "ABCabd", "line\nbreak", "`tick`", "1e3", "x" * 70]
BYTES = [b"", b"a", b"ab", b"\x00\xff", b"5"]
PIECES = ["%", "_", "a", "A", "b", "bc", "é", "É", "日", "\\", "'", '"', "5", "%%", "__", "x", "!"]
SPACES = [" ", " ", " ", "  ", "\n", "\t", " \r\n "]
EPOCH_US = {
    "2024-02-29T12:34:56Z": 1709210096000000,
    "2024-02-29": 1709164800000000,
    "1999-12-31T23:59:59.5+02:00": 946677599500000,
    "0001-01-01T00:00:00Z": -62135596800000000,
}
TIMES = list(EPOCH_US)

MIXED = ["a", "b", "order by", "it`s", "naïve", "n.x", "n.m.y", "z[0]", "z[1]"]
NUMERIC = ["i", "f", "num"]
SCALARS = [*MIXED, *NUMERIC, "s"]
COLUMNS = [*SCALARS, "arr", "t"]
SPELLINGS = {"n.x": ["n.x", "`n.x`", "n.`x`"], "n.m.y": ["n.m.y", "`n`.`m`.y"]}
SPELLINGS |= {"z[0]": ["z[0]", "`z[0]`", "`z`[0]"], "z[1]": ["z[1]"]}


# ---- documents ----


def pack(value):
    """msgpack, as far as documents here need it."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\xdb" + struct.pack(">I", len(data)) + data
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, Time):
        seconds, us = divmod(value.us, 1000000)
        return b"\xc7\x0c\xff" + struct.pack(">Iq", us * 1000, seconds)
    if isinstance(value, list):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    pairs = b"".join(pack(key) + pack(item) for key, item in value.items())
    return b"\xdf" + struct.pack(">I", len(value)) + pairs


class Time:
    def __init__(self, us):
        self.us = us


def random_scalar(rng):
    kind = rng.randrange(12)
    if kind < 2:
        return None
    if kind < 5:
        return rng.choice(INTS)
    if kind < 7:
        return rng.choice(FLOATS)
    if kind < 10:
        return rng.choice(TEXTS)
    if kind < 11:
        return rng.choice(BYTES)
    return rng.choice([True, False, math.nan])


def random_row(rng):
    row = {name: random_scalar(rng) for name in MIXED}
    row["i"] = rng.choice([None, rng.choice(INTS), rng.choice(INTS)])
    row["f"] = rng.choice([None, rng.choice(FLOATS), rng.choice(FLOATS)])
    row["num"] = rng.choice([None, rng.choice(INTS), rng.choice(FLOATS)])
    row["s"] = rng.choice([None, rng.choice(TEXTS), rng.choice(TEXTS)])
    items = [random_scalar(rng) for _ in range(rng.randrange(4))]
    row["arr"] = rng.choice([None, items])
    row["t"] = rng.choice([None, Time(rng.choice(list(EPOCH_US.values())) + rng.randrange(-1, 2))])
    if row["t"] and row["t"].us < EPOCH_US["0001-01-01T00:00:00Z"]:
        row["t"].us += 1
    return row


def document_of(rng, row):
    """The row as nested fields; a NULL may be absent."""

    def put(fields, key, value):
        if value is not None or rng.randrange(2):
            fields[key] = value

    doc, inner, deep = {}, {}, {}
    for name in ["a", "b", "order by", "it`s", "naïve", "i", "f", "num", "s", "arr", "t"]:
        put(doc, name, row[name])
    put(deep, "y", row["n.m.y"])
    put(inner, "x", row["n.x"])
    put(inner, "m", deep if row["n.m.y"] is not None else rng.choice([deep, None, 7]))
    if row["n.m.y"] is not None:
        inner["m"] = deep
    doc["n"] = inner
    items = [row["z[0]"], row["z[1]"]]
    if items[1] is None and rng.randrange(2):
        items.pop()
    doc["z"] = items
    return pack(doc)


# ---- expressions: (text for us, text for SQLite or None) ----


class Maker:
    def __init__(self, rng):
        self.rng = rng
        self.is_changed = False  # SQLite is asked in other words

    def space(self):
        return self.rng.choice(SPACES)

    def word(self, text):
        return "".join(self.rng.choice([c.upper(), c.lower()]) for c in text)

    def number(self):
        if self.rng.randrange(2):
            value = self.rng.choice(INTS)
            return str(value) if value < 0 or self.rng.randrange(5) else f"+{value}"
        value = self.rng.choice(FLOATS)
        return repr(value).replace("inf", "1e999")

    def text(self, side):
        value = self.rng.choice(TEXTS)
        is_name = value.lower() in COLUMNS or not value
        if side == "right" and not is_name and self.rng.randrange(3) == 0:
            return '"' + value.replace('"', '""') + '"'
        return "'" + value.replace("'", "''") + "'"

    def literal(self, side):
        kind = self.rng.randrange(12)
        if kind < 5:
            return self.number()
        if kind < 9:
            return self.text(side)
        if kind < 10:
            return self.rng.choice("xX") + "'" + self.rng.choice(BYTES).hex() + "'"
        return self.word(self.rng.choice(["null", "true", "false"]))

    def path(self, side, names):
        name = self.rng.choice(names)
        quoted = '"' + name.replace('"', '""') + '"'
        ways = SPELLINGS.get(name, ["`" + name.replace("`", "``") + "`"])
        if name.isalnum() and name.isascii():
            ways = [*ways, name, name]
        if side == "left" and name not in SPELLINGS:
            ways = [*ways, quoted]
        way = self.rng.choice(ways)
        return way, quoted if name in SPELLINGS else way

    def operand(self, side):
        if self.rng.randrange(3) > (side == "right"):
            return self.path(side, SCALARS)
        text = self.literal(side)
        return text, text

    def comparison(self):
        sign = self.rng.choice(["=", "==", "!=", "<>", "<", "<=", ">", ">="])
        left, right = self.operand("left"), self.operand("right")
        gap = self.space() if self.rng.randrange(2) else ""
        return tuple(f"{left[k]}{gap}{sign}{gap}{right[k]}" for k in (0, 1))

    def negation(self):
        return self.space() + self.word("not") if self.rng.randrange(3) == 0 else ""

    def listing(self):
        left, no = self.operand("left"), self.negation()
        count = self.rng.choice([1, 2, 3, 8, 30])
        items = ",".join(self.space() + self.literal("right") for _ in range(count))
        rest = f"{no}{self.space()}{self.word('in')}{self.space()}({items})"
        return left[0] + rest, left[1] + rest

    def between(self):
        left, low, high = self.operand("left"), self.operand("right"), self.operand("right")
        no, gap = self.negation(), self.space()
        between, and_word = self.word("between"), self.word("and")
        return tuple(
            f"{left[k]}{no}{gap}{between} {low[k]}{gap}{and_word}{gap}{high[k]}" for k in (0, 1)
        )

    def like(self):
        left = self.operand("left")
        pattern = "".join(self.rng.choice(PIECES) for _ in range(self.rng.randrange(7)))
        rest = f"{self.word('like')}{self.space()}'" + pattern.replace("'", "''") + "'"
        if self.rng.randrange(3) == 0:
            escape = self.rng.choice(["\\", "!", "%", "_", "é", "a"])
            rest += f"{self.space()}{self.word('escape')} '{escape}'"
        no = self.negation()
        ours = f"{left[0]}{no}{self.space()}{rest}"
        if left[1] in ("s", "`s`", '"s"'):
            return ours, f"{left[1]}{no} {rest}"
        self.is_changed = True
        asked = f"CASE typeof({left[1]}) WHEN 'null' THEN NULL WHEN 'text' THEN {left[1]} {rest}"
        return ours, f"({no} ({asked} ELSE 0 END))"

    def is_null(self):
        left, no = self.operand("left"), self.negation()
        rest = f"{self.space()}{self.word('is')}{no}{self.space()}{self.word('null')}"
        return left[0] + rest, left[1] + rest

    def truth(self):
        if self.rng.randrange(2):
            return self.path("left", NUMERIC)
        value = self.operand("left")
        self.is_changed = True
        kinds = "WHEN 'null' THEN NULL WHEN 'text' THEN 0 WHEN 'blob' THEN 0"
        return value[0], f"(CASE typeof({value[1]}) {kinds} ELSE {value[1]} END)"

    def contains(self):
        no, word = self.negation(), self.word("contains")
        wanted = self.literal("right")
        self.is_changed = True
        if self.rng.randrange(2):
            left = self.path("left", SCALARS)
            found = f"instr({left[1]}, {wanted}) > 0"
            both = f"typeof({left[1]}) = 'text' AND typeof({wanted}) = 'text'"
        else:
            left = self.path("left", ["arr"])
            found = f"EXISTS (SELECT 1 FROM item WHERE row = r AND value = {wanted})"
            both = "1"
        asked = f"CASE WHEN {left[1]} IS NULL OR {wanted} IS NULL THEN NULL WHEN {both}"
        return f"{left[0]}{no} {word} {wanted}", f"({no} ({asked} THEN {found} ELSE 0 END))"

    def time(self):
        self.is_changed = True
        left, sign = self.path("left", ["t"]), self.rng.choice(["=", "!=", "<", "<=", ">", ">="])
        text = self.rng.choice(TIMES)
        literal = self.rng.choice([f"'{text}'", f"{self.word('datetime')} '{text}'"])
        us = str(EPOCH_US[text])
        if self.rng.randrange(3) == 0:
            other = self.rng.choice(TIMES)
            rest = f"{self.negation()} IN ("
            return (
                f"{left[0]}{rest}'{other}', {literal})",
                f"{left[1]}{rest}{EPOCH_US[other]}, {us})",
            )
        if self.rng.randrange(2):
            return f"{literal} {sign} t", f"{us} {sign} t"
        return f"{left[0]} {sign} {literal}", f"{left[1]} {sign} {us}"

    def apart(self):
        """What SQLite has no words for."""
        left = self.rng.choice(["arr", "n", "t", "z"])
        return f"{left} {self.rng.choice(['=', '<', '>='])} {self.number()}", None

    def test(self):
        ways = [self.comparison] * 10 + [self.listing, self.between, self.like] * 3
        ways += [self.is_null, self.truth, self.contains, self.time] * 2
        return self.rng.choice(ways)()

    def expression(self, depth):
        kind = self.rng.randrange(10)
        if depth == 0 or kind < 3:
            return self.test()
        if kind < 5:
            inner = self.expression(depth - 1)
            no = self.word("not")
            if self.rng.randrange(2):
                return tuple(f"{no}{self.space()}({text})" for text in inner)
            return tuple(f"{no}{self.space()}{text}" for text in self.test())
        if kind < 6:
            return tuple(f"({self.space()}{text} )" for text in self.expression(depth - 1))
        terms = [self.expression(depth - 1) for _ in range(self.rng.choice([2, 2, 3]))]
        words = [self.space() + self.word(self.rng.choice(["and", "or"])) for _ in terms[1:]]
        ours, theirs = terms[0]
        for joint, term in zip(words, terms[1:]):
            ours += joint + self.space() + term[0]
            theirs += joint + " " + term[1]
        return ours, theirs


# ---- comparing ----


def fill_sqlite(rows):
    base = sqlite3.connect(":memory:")
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in COLUMNS)
    base.execute(f"CREATE TABLE t (r INTEGER PRIMARY KEY, {columns})")
    base.execute("CREATE TABLE item (row, value)")
    base.execute("CREATE INDEX item_row ON item (row)")
    for r, row in enumerate(rows):
        values = [row[name] for name in COLUMNS]
        values[COLUMNS.index("arr")] = None if row["arr"] is None else "[]"
        values[COLUMNS.index("t")] = row["t"].us if row["t"] else None
        base.execute(f"INSERT INTO t VALUES ({', '.join('?' * (len(values) + 1))})", [r, *values])
        for value in row["arr"] or []:
            base.execute("INSERT INTO item VALUES (?, ?)", [r, value])
    return base


def drive(driver, documents, texts):
    pieces = [struct.pack("<I", len(documents))]
    for piece in [*documents, *(text.encode() for text in texts)]:
        pieces += [struct.pack("<I", len(piece)), piece]
    done = subprocess.run(driver, input=b"".join(pieces), capture_output=True, check=False)
    expect(done.returncode == 0, f"{driver}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace").splitlines()


def compare_batch(driver, rng, row_count, expression_count, counts):
    rows = [random_row(rng) for _ in range(row_count)]
    base = fill_sqlite(rows)
    made = []
    for _ in range(expression_count):
        maker = Maker(rng)
        if rng.randrange(50) == 0:
            made.append((*maker.apart(), False))
        else:
            made.append((*maker.expression(rng.choice([0, 1, 2, 3, 4])), maker.is_changed))
    answers = drive(driver, [document_of(rng, row) for row in rows], [one[0] for one in made])
    expect(len(answers) == len(made), f"{len(answers)} answers to {len(made)} expressions")
    wrong = []
    for (ours, theirs, is_changed), answer in zip(made, answers):
        if theirs is None:
            counts["left out"] += 1
            continue
        counts["in other words" if is_changed else "same text"] += 1
        query = f"SELECT group_concat(ifnull(NOT NOT ({theirs}), 2), '') FROM t"
        expected = base.execute(query).fetchone()[0]
        for digit in "012":
            counts["rows " + digit] += expected.count(digit)
        if answer == expected:
            continue
        at = next((i for i, pair in enumerate(zip(answer, expected)) if pair[0] != pair[1]), 0)
        wrong.append(f"{ours}\n  SQLite: {theirs}\n  {answer[:60]!r}, row {at}: {rows[at]}")
    base.close()
    expect(
        not wrong,
        f"{len(wrong)} expressions differ; the shortest:\n{min(wrong, key=len)}" if wrong else "",
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--expressions", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=1100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    driver = options.build / "tests" / "filter" / "where_driver"
    counts = dict.fromkeys(["same text", "in other words", "left out"], 0)
    counts |= {"rows 0": 0, "rows 1": 0, "rows 2": 0}
    cases = Cases()

    for begin in range(0, options.expressions, BATCH):
        seed = options.seed * 1000003 + begin
        count = min(BATCH, options.expressions - begin)
        with cases.case(f"expressions {begin} to {begin + count - 1}, --seed {options.seed}"):
            compare_batch(driver, random.Random(seed), options.rows, count, counts)
    compared = counts["same text"] + counts["in other words"]
    total = compared + counts["left out"]
    print(
        f"seed {options.seed}: {total} expressions over {options.rows} rows each;",
        f"{counts['same text']} compared as they are, {counts['in other words']} in other words,",
        f"{counts['left out']} left out; rows true {counts['rows 1']},",
        f"false {counts['rows 0']}, unknown {counts['rows 2']}",
    )
    with cases.case("nearly all are compared"):
        expect(compared >= COMPARED_MIN * total, f"{compared} of {total}")
    cases.finish()


if __name__ == "__main__":
    main()
