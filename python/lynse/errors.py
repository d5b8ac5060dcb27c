# SPDX-License-Identifier: Apache-2.0
"""What can go wrong: one class for each line of the library's table of errors.

Every class is a :class:`LynseError` and also the built-in exception that a Python programmer (or a
program written for LynseDB) would catch: ``Dimension`` is a ``ValueError``, ``ReadOnly`` a
``RuntimeError``, ``DiskFull`` an ``OSError``.  Arguments of a wrong type raise plain ``TypeError``.
"""

from __future__ import annotations

from typing import ClassVar

from ._native import ffi, lib


class LynseError(Exception):
    """Base of all errors of the engine.

    ``code`` is the number and ``name`` the name of the table; ``os_errno`` is the errno of the
    failed system call, or 0; ``retry_after_ms`` says when the library itself tries again what
    stands in the way (``Busy``, ``DiskFull``), or is 0; ``rows_applied`` says how many rows of a
    call that had to be split into groups are stored nonetheless (0 but for calls over 100,000 rows
    or 256 MiB).
    """

    code: ClassVar[int] = 0
    name: ClassVar[str] = ""
    os_errno: int = 0
    retry_after_ms: int = 0
    rows_applied: int = 0


class Invalid(LynseError, ValueError):
    """An argument, or a folder, is not what is asked for; the text names it."""


class Dimension(LynseError, ValueError):
    """Vectors have another number of components than the collection."""


class Parse(LynseError, ValueError):
    """A text cannot be parsed; the message has the position."""


class NotFound(LynseError, RuntimeError):
    """No such database, collection or folder."""


class DatabaseNotFound(NotFound, ValueError):
    """No such database."""


class RecordNotFound(NotFound, ValueError):
    """No record has this id."""


class AlreadyExists(LynseError, RuntimeError):
    """A record of this id, or a thing of this name, is there already."""


class DuplicateId(LynseError, ValueError):
    """One call names an id twice."""


class ReadOnly(LynseError, RuntimeError):
    """Opened read-only, without permission to write, or stopped after a failed sync."""


class Locked(LynseError, RuntimeError):
    """Another process has the folder open for writing; the message says which."""


class Limit(LynseError, ValueError):
    """Over a limit; the message has the value and the limit."""


class TooLarge(LynseError, ValueError):
    """A row or a body is too large."""


class Busy(LynseError, RuntimeError):
    """A queue is full; try again."""


class Deadline(LynseError, TimeoutError):
    """The call took longer than it may; nothing was applied."""


class Cancelled(LynseError, RuntimeError):
    """The call was cancelled."""


class ShuttingDown(LynseError, RuntimeError):
    """The database is being closed."""


class OutcomeUnknown(LynseError, RuntimeError):
    """The write may or may not have been stored; read to find out."""


class DiskFull(LynseError, OSError):
    """No space is left, or less than ``low_water`` would be; nothing was applied."""


class Io(LynseError, OSError):
    """The system failed to read or write; ``os_errno`` says why."""


class Corrupt(LynseError, RuntimeError):
    """Data is damaged; the message names the file."""


class FormatTooNew(LynseError, RuntimeError):
    """A newer version has written this folder."""


class NoMemory(LynseError, MemoryError):
    """Out of memory, or over ``memory_budget``; nothing was applied."""


class Forked(LynseError, RuntimeError):
    """Opened before a fork and used in the child; open it again there, or use spawn."""


class Hook(LynseError, RuntimeError):
    """A hook failed."""


class Unsupported(LynseError, NotImplementedError):
    """Not there, or not there yet; the message says what is."""


class Unauthorized(LynseError, PermissionError):
    """The key is missing or wrong."""


class Internal(LynseError, RuntimeError):
    """A mistake of the engine itself; please report it."""


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _table() -> dict[int, type[LynseError]]:
    """Code to class.  A code that this file does not know yet still gets a class."""
    classes: dict[int, type[LynseError]] = {}
    found: type[LynseError] | None
    for name, code in ffi.typeof("enum lynse_code").relements.items():
        if code == lib.LYNSE_OK:
            continue
        name = name[len("LYNSE_") :]
        found = globals().get(_class_name(name))
        if found is None:
            found = type(_class_name(name), (LynseError, RuntimeError), {"__module__": __name__})
            globals()[found.__name__] = found
        found.code = code
        found.name = name
        classes[code] = found
    return classes


CLASSES = _table()


def from_code(code: int, text: str, os_errno: int = 0, retry_after_ms: int = 0) -> LynseError:
    """The exception for an error of the library."""
    error = CLASSES.get(code, LynseError)(text)
    error.os_errno = os_errno
    error.retry_after_ms = retry_after_ms
    if os_errno and isinstance(error, OSError):
        error.errno = os_errno
    return error
