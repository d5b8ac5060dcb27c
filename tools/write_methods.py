#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make docs/METHODS.md from the methods of the program: `write_methods.py BUILD [--check]`.

BUILD has bin/lynse, which is started and asked for its api_info.  With --check, say whether the
page is up to date.
"""

import json
import pathlib
import sys
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "METHODS.md"
sys.path.insert(0, str(ROOT / "tests" / "support"))
from served import Served  # noqa: E402

HEAD = """\
# Methods of the server

<!-- Made by tools/write_methods.py from scripts/rpc; do not edit. -->

Each is a method of msgpack-RPC and, unless it says otherwise, `POST /<name>` over HTTP
([PROTOCOL.md](PROTOCOL.md)). Arguments have their names, or stand in this order. A `*` marks those
that must be given. In answers `[x, …]` is a list, `name?` may be missing and `x|null` null. Errors
are those of [ERRORS.md](ERRORS.md). Over HTTP bytes are the body, and the other arguments a query.

The last argument of every method is `timeout_ms`, 1 to 600,000 milliseconds from its beginning;
what is not done then answers `DEADLINE`. Without it the server's `--request-timeout-secs` counts.
"""

KINDS = {
    "name": "name",
    "text": "text",
    "flag": "true or false",
    "integer": "whole number",
    "number": "number",
    "id": "id",
    "ids": "id or ids",
    "vector": "vector",
    "vectors": "vectors",
    "documents": "list of maps or nulls",
    "document": "map",
    "request_id": "16 bytes, or 32 hex digits",
    "value": "map",
    "body": "bytes",
    "texts": "list of texts",
}


def figure(number):
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:g}"


def describe_range(argument):
    low, high = argument.get("low"), argument.get("high")
    if "choices" in argument:
        return ": " + ", ".join(f"`{word}`" for word in argument["choices"])
    unit = " bytes" if argument["type"] == "text" else ""
    if low is not None and high is not None:
        return f", {figure(low)} to {figure(high)}{unit}"
    if high is not None:
        return f", at most {figure(high)}{unit}"
    return f", at least {figure(low)}" if low is not None else ""


def describe_argument(argument):
    mark = "*" if argument["required"] else ""
    kind = KINDS[argument["type"]] + describe_range(argument)
    default = argument.get("default")
    default = "" if default is None else f"`{json.dumps(default)}`"
    return f"| `{argument['name']}`{mark} | {kind} | {default} | {argument['doc']} |\n"


WORDS = {"string": "text", "boolean": "flag", "object": "map", None: "any"}


def describe_map(shape):
    if "additionalProperties" in shape:
        return f"{{name: {describe_shape(shape['additionalProperties'])}, …}}"
    if "properties" not in shape:
        return "map"
    required = shape.get("required", [])
    parts = [
        f"{name}{'' if name in required else '?'}: {describe_shape(inner)}"
        for name, inner in sorted(
            shape["properties"].items(), key=lambda item: (item[0] not in required, item[0])
        )
    ]
    return "{" + ", ".join(parts) + "}"


def describe_shape(shape):
    """A schema as one line."""
    kind = shape.get("type")
    if "oneOf" in shape:
        kinds = " or ".join(dict.fromkeys(describe_shape(one) for one in shape["oneOf"]))
        return kinds.replace("integer or text", "id")
    if "enum" in shape:
        return " or ".join(f'"{word}"' for word in shape["enum"])
    if kind == "array" and "minItems" in shape:
        line = "[vectors, ids, fields]"
    elif kind == "array":
        line = f"[{describe_shape(shape['items'])}, …]"
    elif kind == "object":
        line = describe_map(shape)
    else:
        line = WORDS.get(kind, kind)
    return line + ("|null" if shape.get("nullable") else "")


def describe_function(function):
    name, routes = function["name"], function["routes"]
    parts = [f"\n## {name}\n\n{function['doc']}"]
    if function["aliases"]:
        parts.append(" Also: " + ", ".join(f"`{alias}`" for alias in function["aliases"]) + ".")
    other = [route for route in routes if route not in (
        f"POST /{name}", *(f"POST /{alias}" for alias in function["aliases"]))]  # fmt: skip
    if other:
        parts.append(" HTTP: " + ", ".join(f"`{route}`" for route in other) + " too.")
    if not routes:
        parts.append(" Over msgpack-RPC alone.")
    if function["public"]:
        parts.append(" Needs no key.")
    parts.append("\n")
    own = [argument for argument in function["parameters"] if argument["name"] != "timeout_ms"]
    if own:
        parts.append("\n| argument | kind | default | |\n|---|---|---|---|\n")
        parts += [describe_argument(argument) for argument in own]
    parts.append(f"\nAnswers `{describe_shape(function['returns'])}`.\n")
    return "".join(parts)


def make_page(build):
    with Served(build) as served:
        answer = json.load(urllib.request.urlopen(f"{served.url}/api_info", b"{}"))
    info = answer["params"]
    planned = ", ".join(f"`{name}`" for name in info["planned"])
    return (
        HEAD
        + "".join(describe_function(function) for function in info["functions"])
        + f"\n## Not there yet\n\nLynseDB's that answer `UNSUPPORTED`, 501 over HTTP: {planned}.\n"
    )


def main():
    build = pathlib.Path(sys.argv[1])
    page = make_page(build)
    if sys.argv[2:] != ["--check"]:
        PAGE.write_text(page)
        return
    is_current = PAGE.is_file() and PAGE.read_text() == page
    if not is_current:
        print(f"{PAGE.relative_to(ROOT)} is not what tools/write_methods.py makes: run it")
    print(f"cases: {int(is_current)} passed, {int(not is_current)} failed")
    sys.exit(not is_current)


main()
