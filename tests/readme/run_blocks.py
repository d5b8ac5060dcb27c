#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the code that the documents show: `run_blocks.py BUILD [PYTHON]`.

A fenced block of `c`, `lua`, `python` or `sh` after the line `<!-- run: NAME -->` is run in an
empty folder.  If the next fenced block of the same section is `text`, it is what the program must
print; an ellipsis (one character, …) stands for anything on its line.  C without a main is put into
frame.c, where a root is open.  A NAME that is the path of a file says that the block is that file
without its head comment.  A block that names the server's port, 7637, finds one that listens, at
another port.  BUILD has lib/liblynse.so and bin/lynse; PYTHON can import lynse.
"""

import os
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from cases import Cases, expect, run  # noqa: E402
from served import Served  # noqa: E402

DOCUMENTS = ("README.md", "docs/EMBEDDING.md", "docs/LUA.md")
MARK = re.compile(r"<!-- run: (\S+) -->$")
FENCE = re.compile(r"^```(\w*)$")
CC = os.environ.get("CC", "cc")


class Block:
    def __init__(self, name, line):
        self.name = name
        self.line = line
        self.language = ""
        self.code = ""
        self.output = None


def fences(lines):
    """(line number, language, text) of each fenced block; for other lines (number, None, text)."""
    at = 0
    while at < len(lines):
        opening = FENCE.match(lines[at])
        if not opening:
            yield at + 1, None, lines[at]
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end] != "```":
            end += 1
        expect(end < len(lines), f"line {at + 1}: a block without an end")
        yield at + 1, opening[1], "".join(line + "\n" for line in lines[at + 1 : end])
        at = end + 1


def read_blocks(path):
    blocks = []
    marked = False  # the last block waits for its code
    answered = True  # it has its output, or will have none
    for line, language, text in fences(path.read_text().splitlines()):
        if language is None:
            mark = MARK.match(text)
            expect(not (marked and text.strip()), f"line {line}: no block after a mark")
            if mark:
                blocks.append(Block(mark[1], line))
                marked, answered = True, False
            elif text.startswith("#"):
                answered = True
            continue
        if marked:
            known = ("c", "lua", "python", "sh")
            expect(language in known, f"line {line}: cannot run '{language}'")
            blocks[-1].language, blocks[-1].code = language, text
            marked = False
        elif not answered:
            blocks[-1].output = text if language == "text" else None
            answered = True
    expect(not marked, "the last mark has no block")
    return blocks


def expect_file(block):
    """The block shows a file: it has to be that file."""
    path = ROOT / block.name
    if "/" not in block.name:
        return
    expect(path.is_file(), f"there is no {block.name}")
    text = re.sub(r"\A((/\*.*?\*/|--[^\n]*)\n)+", "", path.read_text(), flags=re.DOTALL)
    expect(block.code == text, f"the block is not {block.name}, which has:\n{text}")


def expect_output(block, said):
    if block.output is None:
        return
    pattern = re.escape(block.output).replace("…", "[^\n]*")
    expect(re.fullmatch(pattern, said), f"printed:\n{said}\nthe document says:\n{block.output}")


def run_c(block, build, folder):
    code, flags = block.code, ["-Werror"]
    if not re.search(r"\bmain\(", code):
        code = (HERE / "frame.c").read_text().replace("/* BLOCK */", f"#line 1\n{code}")
        flags += ["-Wno-unused"]
    source, program = folder / "block.c", folder / "block"
    source.write_text(code)
    library = build / "lib"
    run(CC, "-std=gnu11", "-Wall", "-Wextra", *flags, f"-I{ROOT / 'core' / 'include'}", source,
        f"-L{library}", f"-Wl,-rpath,{library}", "-llynse", "-lm", "-pthread", "-o", program)
    return program


def run_block(block, build, python):
    if "7637" not in block.code:
        run_alone(block, build, python)
        return
    with Served(build) as served:
        block.code = block.code.replace("7637", str(served.port))
        run_alone(block, build, python)


def run_alone(block, build, python):
    expect_file(block)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cwd = folder / "cwd"
        cwd.mkdir()
        if block.language == "c":
            command = [run_c(block, build, folder)]
        elif block.language == "lua":
            (folder / "block.lua").write_text(block.code)
            command = [build / "bin" / "lynse", "lua", folder / "block.lua"]
        elif block.language == "sh":
            command = ["sh", "-eu", "-c", block.code]
        else:
            expect(python, "no Python with lynse was given")
            (folder / "block.py").write_text(block.code)
            command = [python, folder / "block.py"]
        expect_output(block, run(*command, cwd=cwd, timeout=120))


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    python = pathlib.Path(sys.argv[2]).absolute() if len(sys.argv) > 2 else None
    cases = Cases()
    for document in DOCUMENTS:
        blocks = []
        with cases.case(document):
            path = ROOT / document
            expect(path.is_file(), f"there is no {document}, and this test runs what it shows")
            blocks = read_blocks(path)
            expect(blocks, f"{document} has no block that is marked to be run")
        for block in blocks:
            with cases.case(f"{document}:{block.line}: {block.name}"):
                run_block(block, build, python)
    cases.finish()


main()
