#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make docs/ERRORS.md from the table in lynse_errors.h; with --check, say whether it is up to date.

The table gives name, number, HTTP status, code on the wire and sentence.  What an error means to a
caller, and what to do, is below; a line of the table without its lines here is an error.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "core" / "include" / "lynse_errors.h"
PAGE = ROOT / "docs" / "ERRORS.md"
LINE = re.compile(r'_\((\w+), (\d+), (\d+), "([^"]*)", "([^"]*)"\)')
COLUMNS = 100

# name: (when it comes, what to do)
MEANINGS = {
    "INVALID": (
        "An argument, a flag, a struct_bytes or a folder is not what is asked for.",
        "Mend the call; the text names the field, its value and what is allowed.",
    ),
    "DIMENSION": (
        "Vectors have another number of components than the collection, or none.",
        "Open the collection that fits, or make one.",
    ),
    "PARSE": (
        "Bytes or text end too early or are not what they claim to be: fields that are no msgpack.",
        "Mend the sender; the text has the position.",
    ),
    "NOT_FOUND": (
        "No such database, collection or folder; a dropped collection too.",
        "lynse_collection_require makes what is missing.",
    ),
    "ALREADY_EXISTS": (
        "A live record of this id, or a database or collection of this name, is there.",
        "lynse_upsert replaces records; lynse_collection_require opens what is there.",
    ),
    "DUPLICATE_ID": (
        "One call names an id twice.",
        "Send each id once; the text has both positions.",
    ),
    "READ_ONLY": (
        "The root was opened read-only, its folder may not be written, or a sync of the collection "
        "failed and nothing is logged any more.",
        "After a failed sync: look at the disk, close, open again.",
    ),
    "LOCKED": (
        "Somebody else has the root open for writing; the text says who and since when.",
        "Share one handle in a process; open read-only beside another process.",
    ),
    "LIMIT": (
        "A count, a length or a depth is over its limit.",
        "The text has field, value and limit; all limits are in core/base/limits.h.",
    ),
    "TOO_LARGE": (
        "One call is over 256 MiB, or a result would be over what can be addressed.",
        "Split the call.",
    ),
    "BUSY": (
        "A queue is full, or rows wait in memory because no segment can be written (the text has "
        "the reason), or inline so much waits for the disk that more would not be bounded.",
        "Try again a little later, or after retry_after_ms where it is set; inline call lynse_sync "
        "first, where the text says so.",
    ),
    "DEADLINE": (
        "timeout_us passed, and nothing was done (a read, or a write not yet begun).",
        "Try again, with more time.",
    ),
    "CANCELLED": (
        "The caller gave the request up.",
        "Nothing.",
    ),
    "SHUTTING_DOWN": (
        "The root is being closed, or is closed.",
        "Open it again.",
    ),
    "OUTCOME_UNKNOWN": (
        "A write was given up while it was being logged, or its sync failed: it may be there after "
        "the next open, or not. From lynse_close: acknowledged writes of a level below ALWAYS may "
        "be missing; with any other code none is.",
        "Send the same write again with its request_id; without one ask with lynse_get.",
    ),
    "DISK_FULL": (
        "The disk, or the quota, is full, or less than low_water_bytes would stay free, or a full "
        "disk keeps segments from being written; nothing of the call was applied. The text names "
        "the collection.",
        "Make room: lynse_delete and lynse_flush work, reads go on, and writes too once there is "
        "room.",
    ),
    "IO": (
        "A system call failed; os_errno has its number.",
        "Look at the disk and at the log.",
    ),
    "CORRUPT": (
        "A file is not what was written: a checksum, a length or a structure is wrong.",
        "Keep the folder as it is; take the last copy of it. The text names the file.",
    ),
    "FORMAT_TOO_NEW": (
        "The folder was written by a newer version; the text has both versions.",
        "Use that version. The folder was left alone.",
    ),
    "NO_MEMORY": (
        "The system, the host's allocator or memory_budget_bytes refused; nothing was applied.",
        "Rows that wait in memory leave it with lynse_flush, and by themselves before they take the"
        " whole budget. Free something, or give a larger budget; what was there goes on working.",
    ),
    "FORKED": (
        "A forked child uses what its parent opened.",
        "Open in the child, after the fork.",
    ),
    "HOOK": (
        "Reserved for scripts: one failed, or ran out of its budget.",
        "Mend the script.",
    ),
    "UNSUPPORTED": (
        "What was asked for is not in this version or build, or not safe on this file system.",
        "The text says what there is instead.",
    ),
    "UNAUTHORIZED": (
        "Reserved for the server: no key, or one that may not do this.",
        "Use a key that may.",
    ),
    "INTERNAL": (
        "An internal check failed in this process; a mistake of ours. Later calls answer so too.",
        "End the process, and send us the line that went to the panic handler or to stderr.",
    ),
}

HEAD = """\
# Errors

<!-- Made by tools/write_errors.py from core/include/lynse_errors.h; do not edit. -->

One table, `LYNSE_ERRORS` in `lynse_errors.h`, feeds every language. Numbers never change and are
never used again. In C a function returns the number, and `struct lynse_error` has the number, the
errno of the system call that failed (or 0) and a sentence with the field, the value and the limit.
In Python each line is an exception, which is also the built-in one that fits.

After any error the handle is usable and nothing of the call was applied; OUTCOME_UNKNOWN alone
leaves open whether it was. Status and code are what the HTTP interface will answer.

| C | number | Python | status | code | meaning |
|---|---|---|---|---|---|
"""


def read_table():
    rows = LINE.findall(TABLE.read_text())
    names = [row[0] for row in rows]
    if sorted(names) != sorted(MEANINGS):
        missing = set(names) ^ set(MEANINGS)
        sys.exit(f"write_errors.py: {TABLE.name} and MEANINGS differ by {sorted(missing)}")
    return rows


def wrap(text):
    """Lines of at most COLUMNS."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > COLUMNS:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


def make_page():
    rows = read_table()
    parts = [HEAD]
    for name, number, status, code, text in rows:
        exception = "".join(word.capitalize() for word in name.split("_"))
        parts.append(
            f"| `LYNSE_{name}` | {number} | `{exception}` | {status} | `{code}` | {text} |\n"
        )
    for name, *_ in rows:
        when, then = MEANINGS[name]
        parts.append(f"\n## {name}\n\n" + wrap(f"{when} {then}") + "\n")
    return "".join(parts)


def main():
    page = make_page()
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(page)
        return
    is_current = PAGE.is_file() and PAGE.read_text() == page
    if not is_current:
        print(f"{PAGE.relative_to(ROOT)} is not what tools/write_errors.py makes: run it")
    print(f"cases: {int(is_current)} passed, {int(not is_current)} failed")
    sys.exit(not is_current)


main()
