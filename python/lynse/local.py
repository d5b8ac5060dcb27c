# SPDX-License-Identifier: Apache-2.0
"""The engine in this process: roots, and who holds them open.

A root is opened once in a process and shared by all clients of the same folder; it is closed when
the last of them is.  A client's hold on it is a `LocalRoot`.  A handle of the library is never
freed under a call that uses it: `Guard` counts the calls.

A forked child forgets what it inherited: nothing of it is shared, closed or freed there, the
library answers Forked for it, and the child opens for itself.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

from ._marshal import c_text, check, names_to_list, new_error
from ._native import ffi, lib
from .errors import Busy, Invalid, LynseError, NotFound, ReadOnly, ShuttingDown
from .local_collection import LocalCollection
from .types import DTYPES, METRICS, SYNC_LEVELS, CollectionBackend, Path

MEMORY = ":memory:"
CLOSE_WAIT_S = 60.0
LARGEST_LOW_WATER = 2**50  # of the library


class Guard:
    """A handle of the library that is not freed while a call uses it.

    A call holds a token; that the token is let go also when Ctrl-C strikes between two
    instructions is why this is a set and not a counter.
    """

    def __init__(self, pointer: Any, what: str) -> None:
        self._lock = threading.RLock()
        self._pointer = pointer
        self.users: set[object] = set()
        self._what = what
        self.is_closing = False
        _guards.add(self)

    @contextlib.contextmanager
    def use(self) -> Iterator[Any]:
        """The pointer, for the length of a with statement."""
        token = object()
        try:
            yield self.enter(token)
        finally:
            self.users.discard(token)

    def enter(self, token: object) -> Any:
        """The pointer, for calls so short that the with statement would show.

        The caller discards the token from `users`, also when this failed, and by that very call:
        at the door of a function in Python Ctrl-C may strike, and the token would stay.
        """
        with self._lock:
            if self._pointer is None or self.is_closing:
                raise ShuttingDown(f"this {self._what} is closed")
            self.users.add(token)
        return self._pointer

    def take(self) -> Any:
        """The pointer, to be freed by the caller once no call uses it; None: it was taken."""
        with self._lock:
            self.is_closing = True
        deadline = time.monotonic() + CLOSE_WAIT_S
        while self.users:
            if time.monotonic() > deadline:
                raise Busy(f"this {self._what} is used by a call that does not end")
            time.sleep(0.001)
        with self._lock:
            pointer, self._pointer = self._pointer, None
        return pointer

    def renew_in_child(self) -> None:
        """After a fork: threads that held the lock, or were about to close, do not exist here."""
        self._lock = threading.RLock()
        self.users = set()
        self.is_closing = self._pointer is None


_guards: weakref.WeakSet[Guard] = weakref.WeakSet()
_registry_lock = threading.RLock()
_roots: dict[tuple[str, bool], SharedRoot] = {}


def _after_fork_in_child() -> None:
    global _registry_lock
    _registry_lock = threading.RLock()
    _roots.clear()
    for guard in list(_guards):
        guard.renew_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)


class SharedRoot:
    """An open root of the library and the collections that are open in it."""

    def __init__(self, pointer: Any, key: tuple[str, bool] | None, options: Options) -> None:
        self.guard = Guard(pointer, "database")
        self.lock = threading.RLock()
        self.key = key
        self.options = options
        self.is_reader = key is not None and key[1]
        self.owner_pid = os.getpid()
        self.holder_count = 0
        self._collections: set[Guard] = set()

    @property
    def is_inherited(self) -> bool:
        """Of the process that forked this one, whose locks and threads are not here."""
        return os.getpid() != self.owner_pid

    def adopt(self, collection: Any) -> Guard:
        guard = Guard(collection, "collection")
        with self.lock:
            self._collections.add(guard)
        return guard

    def close_collection(self, guard: Guard) -> None:
        """Closes the handle unless it is closed already, by itself or with the root."""
        if self.is_inherited:
            return
        pointer = guard.take()
        with self.lock:
            self._collections.discard(guard)
        if pointer is not None:
            lib.lynse_collection_close(pointer)

    def release(self) -> None:
        """One holder fewer; the last one closes."""
        if self.is_inherited:
            return
        with _registry_lock:
            self.holder_count -= 1
            if self.holder_count > 0:
                return
            if self.key is not None:
                _roots.pop(self.key, None)
            self._close()

    def _close(self) -> None:
        with self.lock:
            open_ones = list(self._collections)
        for guard in open_ones:
            self.close_collection(guard)
        pointer = self.guard.take()
        if pointer is not None:
            error = new_error()
            check(lib.lynse_close(pointer, error), error)


class Options:
    """What belongs to the open root and not to one client of it."""

    def __init__(
        self,
        memory_budget: int | None,
        threads: int | None,
        low_water: int | None,
        trusted_scripts: bool,
        no_recall: bool,
    ) -> None:
        self.trusted_scripts = trusted_scripts
        self.no_recall = no_recall
        self.memory_budget = _whole("memory_budget", memory_budget, 1, 2**63)
        self.threads = _whole("threads", threads, 1, 256)
        self.low_water = _whole("low_water", low_water, 0, LARGEST_LOW_WATER)

    def refuse_others(self, wanted: Options, path: str) -> None:
        for name in ("memory_budget", "threads", "low_water", "trusted_scripts", "no_recall"):
            value = getattr(wanted, name)
            if value and value != getattr(self, name):
                raise Invalid(
                    f"{path} is open in this process already, with {name}="
                    f"{getattr(self, name) or 'default'}, not {value}; close that client first"
                )


def _whole(name: str, value: int | None, smallest: int, largest: int) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if not smallest <= value <= largest:
        raise Invalid(f"{name} must be {smallest}..{largest}, not {value}")
    return value


def _open_root(path: str, read_only: bool, options: Options) -> Any:
    desc = ffi.new("struct lynse_open_desc *")
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise Invalid(f"the path {path!r:.60} has a NUL in it")
    path_text = ffi.new("char[]", encoded)
    desc.struct_bytes = ffi.sizeof("struct lynse_open_desc")
    desc.flags = lib.LYNSE_OPEN_READ_ONLY if read_only else 0
    if options.trusted_scripts:
        desc.flags |= lib.LYNSE_OPEN_TRUSTED_SCRIPTS
    if options.no_recall:
        desc.flags |= lib.LYNSE_OPEN_NO_RECALL
    desc.path = path_text
    desc.mode = lib.LYNSE_THREADS
    desc.actor_threads = options.threads
    desc.search_threads = options.threads
    desc.memory_budget_bytes = options.memory_budget
    desc.low_water_bytes = options.low_water
    out = ffi.new("struct lynse **")
    error = new_error()
    check(lib.lynse_open(desc, out, error), error)
    if hasattr(lib, "lynse_lua_attach"):  # built where LuaJIT was
        check(lib.lynse_lua_attach(out[0], error), error)
    return out[0]


def _share_root(path: str, read_only: bool, options: Options) -> SharedRoot:
    """The open root of this folder, or a new one.  A reader shares a writer's root."""
    if path == MEMORY:
        return SharedRoot(_open_root(path, read_only, options), None, options)
    real = os.path.realpath(path)
    root = _roots.get((real, False))
    if root is None and read_only:
        root = _roots.get((real, True))
    if root is None:
        root = SharedRoot(_open_root(real, read_only, options), (real, read_only), options)
        _roots[real, read_only] = root
    else:
        root.options.refuse_others(options, path)
    return root


def sync_level(sync: str | None) -> int:
    """The number of a level's name; 0: the default, "always"."""
    if sync is None:
        return 0
    if sync not in SYNC_LEVELS:
        raise Invalid(f"sync must be one of {', '.join(SYNC_LEVELS)}, not {sync!r}")
    return SYNC_LEVELS.index(sync) + 1


class LocalRoot:
    """A client's hold on a root.

    Closing it closes the collections that were opened through it, and the root when it is the last.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        sync: str | None = None,
        memory_budget: int | None = None,
        threads: int | None = None,
        low_water: int | None = None,
        trusted_scripts: bool = False,
        no_recall: bool = False,
    ) -> None:
        self._path = os.fspath(path)
        self._read_only = read_only
        self._sync = sync_level(sync)
        self._collections: weakref.WeakSet[LocalCollection] = weakref.WeakSet()
        options = Options(memory_budget, threads, low_water, trusted_scripts, no_recall)
        with _registry_lock:
            self._root = _share_root(self._path, read_only, options)
            self._root.holder_count += 1
            self._release = weakref.finalize(self, self._root.release)

    place = "Local"

    @property
    def path(self) -> str:
        return self._path

    @property
    def is_read_only(self) -> bool:
        return self._read_only

    def close(self) -> None:
        """Closing twice is fine.  An error says what was not made durable."""
        if self._root.is_inherited:
            return
        for collection in list(self._collections):
            collection.close()
        self._release()

    @contextlib.contextmanager
    def _use(self) -> Iterator[Any]:
        if not self._release.alive:
            raise ShuttingDown("this client is closed")
        with self._root.guard.use() as pointer:
            yield pointer

    def refuse_write(self) -> None:
        if self._read_only:
            raise ReadOnly(f"{self._path} was opened read-only")

    def refresh(self) -> None:
        """Of a folder that another process writes: move on to what is durable there now."""
        if self._root.is_reader:
            self._call(lib.lynse_refresh)

    def _call(self, function: Any, *arguments: Any) -> None:
        with self._use() as db:
            error = new_error()
            check(function(db, *arguments, error), error)

    def _ask(self, function: Any, text: bytes) -> bool:
        out = ffi.new("int *")
        self._call(function, text, out)
        return bool(out[0])

    def _list(self, function: Any, *arguments: Any) -> list[str]:
        out = ffi.new("struct lynse_names **")
        self._call(function, *arguments, out)
        return names_to_list(out[0])

    def database_create(self, database: str) -> None:
        self.refuse_write()
        self._call(lib.lynse_database_create, c_text(database, "database name"))

    def database_drop(self, database: str) -> None:
        self.refuse_write()
        self._call(lib.lynse_database_drop, c_text(database, "database name"))

    def database_exists(self, database: str) -> bool:
        return self._ask(lib.lynse_database_exists, c_text(database, "database name"))

    def database_list(self) -> list[str]:
        return self._list(lib.lynse_database_list)

    def collection_list(self, database: str) -> list[str]:
        return self._list(lib.lynse_collection_list, c_text(database, "database name"))

    def collection_exists(self, database: str, name: str) -> bool:
        return self._ask(lib.lynse_collection_exists, _full_name(database, name))

    def collection_drop(self, database: str, name: str) -> None:
        self.refuse_write()
        self._call(lib.lynse_collection_drop, _full_name(database, name))

    def collection_open(self, database: str, name: str) -> CollectionBackend:
        self.refresh()
        out = ffi.new("struct lynse_collection **")
        try:
            self._call(lib.lynse_collection_open, _full_name(database, name), out)
        except NotFound:
            raise NotFound(f"Collection '{name}' does not exist.") from None
        return self._adopt(out[0])

    def collection_require(
        self,
        database: str,
        name: str,
        *,
        dim: int,
        metric: str | None,
        description: str | None,
        dtype: str | None,
    ) -> CollectionBackend:
        if self._read_only:
            return self.collection_open(database, name)
        keep = [ffi.new("char[]", _full_name(database, name))]
        desc = ffi.new("struct lynse_collection_desc *")
        desc.struct_bytes = ffi.sizeof("struct lynse_collection_desc")
        desc.dim = dim
        desc.name = keep[0]
        desc.metric = 0 if metric is None else METRICS.index(metric) + 1
        desc.storage = 0 if dtype is None else DTYPES.index(dtype) + 1
        # Of collections made here: one that is there keeps its level.
        desc.sync = 0 if self.collection_exists(database, name) else self._sync
        if description is not None:
            keep.append(ffi.new("char[]", c_text(description, "description")))
            desc.description = keep[1]
        out = ffi.new("struct lynse_collection **")
        self._call(lib.lynse_collection_require, desc, out)
        return self._adopt(out[0])

    def _adopt(self, pointer: Any) -> LocalCollection:
        collection = LocalCollection(self, self._root.adopt(pointer), self._root.close_collection)
        self._collections.add(collection)
        return collection


def _full_name(database: str, name: str) -> bytes:
    return c_text(f"{database}/{name}", "collection name")


def library_version() -> str:
    return str(ffi.string(lib.lynse_version()).decode())


__all__ = ["MEMORY", "LocalRoot", "LynseError", "library_version"]
