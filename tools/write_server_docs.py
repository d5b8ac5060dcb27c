#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make docs/OPTIONS.md, docs/METRICS.md and scripts/config.lua from the tables in server/options.h
and server/metrics.h; with --check, say whether they are up to date."""

import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPTIONS = ROOT / "server" / "options.h"
METRICS = ROOT / "server" / "metrics.h"
BOUNDS = ROOT / "server" / "metrics_bounds.h"
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[(),]|[^\s"(),]+')
COLUMNS = 100


def rows_of(path, macro):
    """The rows of an X macro, each a list of texts; a C string without its quotes, NULL as None."""
    lines = path.read_text(encoding="utf-8").split(f"#define {macro}(_)", 1)[1].split("\n")
    body = []
    for line in lines:
        body.append(line.rstrip("\\"))
        if not line.endswith("\\"):
            break
    tokens = TOKEN.findall(" ".join(body))
    rows, row, cell, depth = [], [], [], 0
    for token in tokens:
        if token == "(":
            depth += 1
            row = [] if depth == 1 else row
        elif token == ")":
            depth -= 1
            if depth == 0:
                rows.append([*row, join(cell)])
                cell = []
        elif token == "," and depth == 1:
            row.append(join(cell))
            cell = []
        elif token != "_":
            cell.append(token)
    return rows


def join(cell):
    if cell == ["NULL"]:
        return None
    if cell and cell[0].startswith('"'):
        return "".join(part[1:-1] for part in cell)
    return " ".join(cell)


def flag(name):
    return "--" + name.replace("_", "-")


def paragraph(text):
    return textwrap.wrap(text, COLUMNS, break_long_words=False, break_on_hyphens=False)


def range_of(kind, low, high):
    if kind == "FLAG":
        return "true, false"
    if kind == "LEVEL":
        return "debug, info, warn, error"
    if kind in ("NUMBER", "SIZE"):
        return f"{low} … {int(float(high)):,}"
    return f"{low} … {high} bytes"


def options_page(rows):
    lines = [
        "# Options of the server",
        "",
        "<!-- Made by tools/write_server_docs.py from server/options.h; do not edit. -->",
        "",
        *paragraph(
            "`lynse serve [OPTION]...` takes each of these from the first source that names it: "
            "the command line, the environment, the config file (`--config FILE`), its default. "
            "`lynse config [OPTION]...` prints what they are, and where each came from; a key "
            "is never printed. A wrong value, and a name that is none, is one line on stderr "
            "and exit status 2."
        ),
        "",
        *paragraph(
            "`--port 1` and `--port=1` are the same; a flag is `--log-requests`, "
            "`--no-log-requests` or `--log-requests=true`. In the environment an option is "
            "`LYNSE_` and its name in capitals (`LYNSE_KEEP_ALIVE_SECS`); an empty variable is "
            "none. Names in *italics* are further ones, LynseDB's; `--role single` is taken, "
            "and what else LynseDB has for clusters is refused: they are not there yet."
        ),
        "",
        *paragraph(
            "A config file is JSON (an object, or what is under its key `server`), INI (the "
            "section `[server]`), or Lua data: a file `*.lua` that returns a table, like "
            "[scripts/config.lua](../scripts/config.lua). It is run with an empty environment, "
            "a bound on its steps and one on its memory, so it can be nothing but data."
        ),
        "",
        "| name | default | values | what |",
        "|---|---|---|---|",
    ]
    for _, kind, name, otherwise, low, high, _, others, environment, text in rows:
        names = [f"`{name}`"]
        names += [f"*{flag(other)}*" for other in others.split()]
        names += [f"*{variable}*" for variable in environment.split()]
        default = f"`{otherwise}`" if otherwise else "none"
        lines.append(f"| {', '.join(names)} | {default} | {range_of(kind, low, high)} | {text} |")
    lines += [
        "",
        *paragraph(
            "Beyond this machine (`host` is neither `127.0.0.0/8` nor `::1`) the server begins "
            "only with a key, and with `--insecure`: there is no TLS yet, so key and data "
            "travel in clear."
        ),
        "",
        *paragraph(
            "Other than LynseDB: one limit for all bodies (`payload_limit_mb`) and one for "
            "those in JSON; `request_timeout_secs` is the time of the request, not of its head; "
            "limits on collections and on `k` are off unless set."
        ),
        "",
    ]
    return "\n".join(lines)


def value_in_lua(kind, text):
    if kind == "SECRET":
        return '"…"'
    return text if kind in ("FLAG", "NUMBER", "SIZE") else f'"{text or ""}"'


def config_script(rows):
    lines = [
        "-- SPDX-License-Identifier: Apache-2.0",
        "-- config.lua: every option of the server, with its default (docs/OPTIONS.md).",
        "--",
        "-- Made by tools/write_server_docs.py.  Copy it, take the dashes away where you want",
        "-- something else, and start with `lynse serve --config config.lua`.  The file is data:",
        "-- it has no functions to call.",
        "return {",
    ]
    for _, kind, name, otherwise, _, _, _, _, _, text in rows:
        lines += [f"   -- {text}", f"   -- {name} = {value_in_lua(kind, otherwise)},", ""]
    return "\n".join([*lines[:-1], "}", ""])


def metrics_page(rows):
    bounds = re.findall(r'"([0-9.]+)"', BOUNDS.read_text(encoding="utf-8"))
    lines = [
        "# Metrics of the server",
        "",
        "<!-- Made by tools/write_server_docs.py from server/metrics.h; do not edit. -->",
        "",
        *paragraph(
            "`GET /metrics` answers Prometheus' text; the method `metrics` the same. It needs "
            "the key, where there is one. A request is counted on its worker's thread by plain "
            "loads and stores; whoever asks adds the workers up, and gauges of other workers "
            "may be a second old. Nothing walks the disk. Where the meaning is LynseDB's so is "
            "the name, behind `lynse_`."
        ),
        "",
        "| name | type | labels | what |",
        "|---|---|---|---|",
    ]
    for _, name, kind, labels, text in rows:
        shown = ", ".join(f"`{label}`" for label in labels.split()) or "–"
        lines.append(f"| `{name}` | {kind} | {shown} | {text} |")
    lines += [
        "",
        "Buckets of the histogram, in seconds: " + ", ".join(bounds) + ", +Inf.",
        "",
        *paragraph(
            "Series of collections are of those that callers have used since the server began, "
            "1,000 at most; for the others a scrape would have to open them."
        ),
        "",
    ]
    return "\n".join(lines)


def main():
    options = rows_of(OPTIONS, "OPTIONS")
    pages = {
        ROOT / "docs" / "OPTIONS.md": options_page(options),
        ROOT / "docs" / "METRICS.md": metrics_page(rows_of(METRICS, "METRICS")),
        ROOT / "scripts" / "config.lua": config_script(options),
    }
    stale = []
    for path, text in pages.items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(ROOT)))
    if stale:
        print(f"{', '.join(stale)}: not what tools/write_server_docs.py makes: run it")
    if "--check" in sys.argv[1:]:
        print(f"cases: {len(pages) - len(stale)} passed, {len(stale)} failed")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
