# SPDX-License-Identifier: Apache-2.0
"""Clients and databases: what is opened, and what is in it."""

from __future__ import annotations

import configparser
import contextlib
import os
from types import TracebackType
from typing import Any, NoReturn

import numpy as np

from ._index import metric_of
from ._records import check_flag, check_name
from .address import is_remote, refuse_mistaken
from .collection import Collection
from .errors import (
    AlreadyExists,
    Corrupt,
    DatabaseNotFound,
    FormatTooNew,
    Invalid,
    Io,
    NotFound,
    Unsupported,
)
from .local import MEMORY, LocalRoot
from .planned import PlannedDatabaseMethods, later
from .remote import RemoteRoot
from .types import DTYPES, METRICS, Path, RootBackend

DEFAULT_ROOT = "~/.LynseDB/databases"
DEFAULT_ROOT_VARIABLE = "LYNSE_DEFAULT_ROOT_PATH"
CONFIG_FILE = "~/.lynsedb_configs.ini"
FOLDER_OPTIONS = (
    "read_only", "sync", "memory_budget", "threads", "low_water", "trusted_scripts",
    "no_recall",
)  # fmt: skip
DTYPE_NAMES = {
    **dict.fromkeys(("float32", "f32", "float"), "float32"),
    **dict.fromkeys(("float16", "f16", "half", "fp16"), "float16"),
    **dict.fromkeys(("bfloat16", "bf16"), "bfloat16"),
    **dict.fromkeys(("int8", "i8"), "int8"),
    **dict.fromkeys(("uint8", "u8"), "uint8"),
    **dict.fromkeys(("bit", "bool"), "bit"),
}
MAX_DIM = 32_768


def default_root() -> str:
    """Where ``VectorDBClient()`` looks: LYNSE_DEFAULT_ROOT_PATH of the environment, else of section
    [lynse] in ~/.lynsedb_configs.ini (which is read, never written), else ~/.LynseDB/databases."""
    path = os.environ.get(DEFAULT_ROOT_VARIABLE)
    if not path:
        config = configparser.ConfigParser(interpolation=None)
        try:
            config.read(os.path.expanduser(CONFIG_FILE), encoding="utf-8")
            path = config.get("lynse", DEFAULT_ROOT_VARIABLE, fallback=None)
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            raise Invalid(f"{CONFIG_FILE} cannot be read: {error}") from None
    return os.path.expanduser(path.strip("\"' ") if path else DEFAULT_ROOT)


def _make_parents(folder: str) -> None:
    """What the default folder lies in, as durable as what will be written into it."""
    parent = os.path.dirname(os.path.abspath(folder))
    if os.path.isdir(parent):
        return
    _make_parents(parent)
    try:
        os.mkdir(parent)
        above = os.open(os.path.dirname(parent), os.O_RDONLY | os.O_DIRECTORY)
    except FileExistsError:  # another process was faster
        return
    except OSError as error:
        raise Invalid(f"the default folder {folder} cannot be made: {error}") from None
    try:
        os.fsync(above)
    finally:
        os.close(above)


def _dtype_of(dtypes: object) -> str | None:
    """One of DTYPES; None for float32: whether it was asked for or left out cannot be told."""
    name = (np.dtype(dtypes).name if isinstance(dtypes, type) else str(dtypes)).lower()
    if name not in DTYPE_NAMES:
        raise Invalid(f"dtypes must be one of {', '.join(DTYPES)}, not {dtypes!r}")
    dtype = DTYPE_NAMES[name]
    return None if dtype == DTYPES[0] else dtype


def _check_dim(dim: int | None) -> int:
    if dim is None:
        return 0
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"dim must be an integer, not {type(dim).__name__}")
    if not 0 <= dim <= MAX_DIM:
        raise Invalid(f"dim must be 1..{MAX_DIM}, not {dim}")
    return int(dim)


def _refuse_options(uri: str, options: dict[str, object]) -> None:
    for name, value in options.items():
        if value:
            raise Invalid(f"{name}= is an option of folders; the server at {uri} has its own")


def _check_key(api_key: object) -> str | None:
    if api_key is None:
        return None
    if not check_name(api_key, "api_key"):
        raise Invalid("api_key must not be empty; None: no key")
    return str(api_key)


class Database(PlannedDatabaseMethods):
    """The collections of one database.  Made by :class:`VectorDBClient`."""

    __slots__ = ("_name", "_root")

    def __init__(self, root: RootBackend, name: str) -> None:
        self._root = root
        self._name = name

    def __reduce__(self) -> NoReturn:
        raise TypeError("a database cannot be pickled or copied; open it where it is needed")

    def __repr__(self) -> str:
        return f"<Database {self._name!r} of {self._root.path!r}>"

    @property
    def is_read_only(self) -> bool:
        return self._root.is_read_only

    def require_collection(
        self,
        collection: str,
        dim: int | None = None,
        n_threads: int = 10,
        warm_up: bool = False,
        drop_if_exists: bool = False,
        description: str | None = None,
        dtypes: str = "float32",
        default_index: str | None = "FLAT-IP",
    ) -> Collection:
        """Open a collection, or create it.

        dim            1..32,768; None or 0: that of the first vectors.  Dimension if there is a
                       collection of another
        default_index  of a new one: "FLAT-IP", "HNSW-L2", … (:meth:`Collection.build_index`), built
                       in the background; None: FLAT-IP's metric, and no index mode.  One that is
                       there keeps its own; "FLAT-IP" and None take it as it is, another metric
                       than the collection's is Invalid
        dtypes         of a new one, what vectors are kept as: "float32", "float16", "bfloat16",
                       "int8" or "uint8"; what is written is rounded to it, once.  One that is
                       there keeps its own; "float32" takes it as it is, another than the
                       collection's is Invalid
        description    of a new one, up to 4,096 bytes of UTF-8

        n_threads and warm_up are there for LynseDB's sake.
        """
        check_name(collection, "collection")
        if description is not None:
            check_name(description, "description")
        dtype = _dtype_of(dtypes)
        metric = None if default_index is None else metric_of(default_index, "default_index")
        if metric == METRICS[0]:
            metric = None  # whether it was asked for or left out cannot be told
        size = _check_dim(dim)
        exists = self._root.collection_exists(self._name, collection)
        if exists and drop_if_exists:
            self._root.collection_drop(self._name, collection)
            exists = False
        backend = self._root.collection_require(
            self._name, collection, dim=size, metric=metric, description=description, dtype=dtype
        )
        new_index = None if exists or default_index is None else default_index.upper()
        return Collection(self._root, backend, self._name, collection, new_index)

    def get_collection(self, collection: str, warm_up: bool = True) -> Collection:
        """Open a collection; NotFound if there is none of this name."""
        check_name(collection, "collection")
        backend = self._root.collection_open(self._name, collection)
        return Collection(self._root, backend, self._name, collection)

    def drop_collection(self, collection: str) -> dict[str, str]:
        """Remove a collection and its files."""
        self._root.collection_drop(self._name, check_name(collection, "collection"))
        return {"status": "success"}

    def drop_database(self) -> dict[str, str]:
        """Remove this database and its collections."""
        self._root.database_drop(self._name)
        return {"status": "success"}

    def database_exists(self) -> dict[str, dict[str, bool]]:
        return {"params": {"exists": self._root.database_exists(self._name)}}

    def show_collections(self) -> list[str]:
        """The names of the collections, sorted."""
        return self._root.collection_list(self._name)

    def show_collections_details(self) -> Any:
        """A row for each collection: a DataFrame where there is pandas, else a list of dicts.

        Of one that cannot be opened there is the name and, as "error", why.
        """
        rows = [row for name in self.show_collections() if (row := self._details(name))]
        try:
            import pandas
        except ImportError:
            return rows
        return pandas.DataFrame(rows)

    def _details(self, name: str) -> dict[str, Any] | None:
        try:
            backend = self._root.collection_open(self._name, name)
        except NotFound:
            return None  # dropped meanwhile
        except (Corrupt, FormatTooNew, Io, Unsupported) as error:
            none = dict.fromkeys(("shape", "index_mode", "dim", "dtypes", "description"))
            return {"name": name, **none, "error": str(error)}
        try:
            info = backend.info()
            return {
                "name": name,
                "shape": (info.live_count + info.deleted_count, info.dim),
                "index_mode": info.index_mode or None,
                "dim": info.dim,
                "dtypes": info.dtype,
                "description": backend.description(),
            }
        finally:
            backend.close()

    def update_collection_description(
        self, collection: str, description: str | None
    ) -> dict[str, str]:
        """Up to 4,096 bytes; None: none."""
        return self.get_collection(collection).update_description(description)


class VectorDBClient:
    """Opens a folder, made if absent, or a server, and what is in it.

    uri            the folder, made if absent (what it lies in must be there); ":memory:": nothing
                   is written, and each client has its own; None: that of
                   :func:`lynse.client.default_root`, made with what it lies in.  A server:
                   "http://host:port", "lynse://host:port" (msgpack-RPC), "unix:/path"
    api_key        of the server; ignored for folders.  The options below are of folders alone
    read_only      also beside another process that writes: what was durable there when a
                   collection was opened, or refreshed (Collection.refresh)
    sync           when a write is answered: "always" (default) once it is on the disk, "interval"
                   and "os" once the system has it, "none" at once; of collections made here
    memory_budget  bytes, 1..2^63; beyond it calls raise NoMemory
    threads        of searches and of collections, 1..256; default: one per core
    low_water      bytes of the disk that writes leave free, up to 2^50; what would leave less
                   raises DiskFull, but reads and deletes go on.  0, the default: 64 MiB or one
                   per cent, whichever is more, but at most an eighth; 1: until it is full
    trusted_scripts
                   Lua texts of `score=` and `rerank=` run compiled and without budgets: for your
                   own.  False, the default: interpreted, in a sandbox, with limits of time,
                   instructions and memory
    no_recall      do not measure what indexes find while nobody searches (index_status)

    Clients of one folder in one process share it.  Another process that has it open for writing
    makes this raise Locked, and names it.  What was opened here is closed by ``close``, by the end
    of a ``with`` block, or when nothing refers to it any more.

    After a fork, what the parent opened raises Forked in the child, and stays the parent's.  The
    child opens for itself: read-only, or once the parent has closed; before that it is Locked.
    """

    def __init__(
        self,
        uri: Path | None = None,
        api_key: str | None = None,
        read_only: bool = False,
        *,
        sync: str | None = None,
        memory_budget: int | None = None,
        threads: int | None = None,
        low_water: int | None = None,
        trusted_scripts: bool = False,
        no_recall: bool = False,
    ) -> None:
        path = default_root() if uri is None else uri
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"uri must be a path or None, not {type(path).__name__}")
        text = os.fspath(path)
        if isinstance(text, str) and is_remote(text):
            given = (read_only, sync, memory_budget, threads, low_water, trusted_scripts, no_recall)
            _refuse_options(text, dict(zip(FOLDER_OPTIONS, given)))
            self._root: RootBackend = RemoteRoot.open(text, _check_key(api_key))
            return
        if not text:
            raise Invalid("uri must not be empty; give a folder, or None for the default one")
        if isinstance(uri, str):
            refuse_mistaken(text)
        is_reader = check_flag(read_only, "read_only")
        if text == MEMORY and is_reader:
            raise Invalid(f"{MEMORY} cannot be opened read-only: there is nothing in it to read")
        if uri is None and not is_reader:
            _make_parents(text)
        self._root = LocalRoot(
            text,
            read_only=is_reader,
            sync=sync,
            memory_budget=memory_budget,
            threads=threads,
            low_water=low_water,
            trusted_scripts=check_flag(trusted_scripts, "trusted_scripts"),
            no_recall=check_flag(no_recall, "no_recall"),
        )

    def __enter__(self) -> VectorDBClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client cannot be pickled or copied; open it where it is needed")

    def __repr__(self) -> str:
        mode = ", read_only=True" if self._root.is_read_only else ""
        return f"VectorDBClient({self._root.path!r}{mode})"

    def close(self) -> None:
        """Closes what was opened through this client; everything acknowledged is kept.

        In a forked child, nothing: it is the parent's to close.
        """
        self._root.close()

    def create_database(self, database_name: str, drop_if_exists: bool = False) -> Database:
        """Open a database, or create it."""
        check_name(database_name, "database_name")
        if drop_if_exists and self._root.database_exists(database_name):
            self._root.database_drop(database_name)
        if not self._root.database_exists(database_name):
            with contextlib.suppress(AlreadyExists):  # another thread was faster
                self._root.database_create(database_name)
        return Database(self._root, database_name)

    def create_collection(
        self,
        database_name: str,
        collection: str,
        dim: int | None = None,
        n_threads: int = 10,
        warm_up: bool = False,
        drop_if_exists: bool = False,
        description: str | None = None,
        dtypes: str = "float32",
        default_index: str | None = "FLAT-IP",
        drop_database_if_exists: bool = False,
    ) -> Collection:
        """create_database and require_collection in one."""
        database = self.create_database(database_name, drop_if_exists=drop_database_if_exists)
        return database.require_collection(
            collection,
            dim=dim,
            n_threads=n_threads,
            warm_up=warm_up,
            drop_if_exists=drop_if_exists,
            description=description,
            dtypes=dtypes,
            default_index=default_index,
        )

    def get_database(self, database_name: str) -> Database:
        """Open a database; DatabaseNotFound if there is none of this name."""
        if not self._root.database_exists(check_name(database_name, "database_name")):
            raise DatabaseNotFound(f"Database '{database_name}' does not exist.")
        return Database(self._root, database_name)

    def list_databases(self) -> list[str]:
        """The names of the databases, sorted."""
        return self._root.database_list()

    def drop_database(self, database_name: str) -> dict[str, str]:
        """Remove a database and its collections; DatabaseNotFound if there is none."""
        try:
            self._root.database_drop(check_name(database_name, "database_name"))
        except NotFound:
            raise DatabaseNotFound(f"Database '{database_name}' does not exist.") from None
        return {"status": "success"}

    def snapshot_database(self, database_name: str, snapshot_path: str) -> NoReturn:
        later("snapshot_database()")

    def restore_database(
        self, database_name: str, snapshot_path: str, overwrite: bool = False
    ) -> NoReturn:
        later("restore_database()")


__all__ = ["MEMORY", "Database", "VectorDBClient", "default_root"]
