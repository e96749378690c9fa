"""What SQLite does to its files, told as it does it: a VFS between it and the system's own.

It goes by `ctypes` into the library that Python's `sqlite3` has loaded, so that the ledger runs as
it is. A file stays SQLite's own; only its table of methods is exchanged for one whose writes are
told. The index of the WAL (`-shm`) is no part of it: SQLite makes that anew after a crash.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p, cast
from typing import Any, ClassVar

METHODS = (
    "close read write truncate sync size lock unlock reserved control sector characteristics "
    "shm_map shm_lock shm_barrier shm_unmap fetch unfetch"
)
FUNCTIONS = (
    "open delete access full_path dl_open dl_error dl_sym dl_close randomness sleep time error "
    "time_64 set_system_call get_system_call next_system_call"
)


class Methods(Structure):
    """`sqlite3_io_methods`."""

    _fields_ = [("version", c_int), *((name, c_void_p) for name in METHODS.split())]


class Vfs(Structure):
    """`sqlite3_vfs`."""

    _fields_ = [
        ("version", c_int),
        ("file_size", c_int),
        ("path_size", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        *((name, c_void_p) for name in FUNCTIONS.split()),
    ]


File = POINTER(POINTER(Methods))
Open = CFUNCTYPE(c_int, POINTER(Vfs), c_void_p, File, c_int, POINTER(c_int))
Delete = CFUNCTYPE(c_int, POINTER(Vfs), c_char_p, c_int)
WriteTo = CFUNCTYPE(c_int, File, c_void_p, c_int, c_int64)
TruncateTo = CFUNCTYPE(c_int, File, c_int64)
SyncFile = CFUNCTYPE(c_int, File, c_int)
SetCall = CFUNCTYPE(c_int, POINTER(Vfs), c_char_p, c_void_p)
GetCall = CFUNCTYPE(c_void_p, POINTER(Vfs), c_char_p)
OpenFolder = CFUNCTYPE(c_int, c_char_p, POINTER(c_int))

# what is told: the operation's name, the file's path, and what else there is to say
Tell = Callable[..., object]


# Python's own, or one that is built into it, whose functions nobody else may find
LIBRARY = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
IS_FOUND = hasattr(LIBRARY, "sqlite3_vfs_find")


class TellingVfs:
    """SQLite's default while it is installed."""

    # a connection that is closed late calls what it was opened with
    _all: ClassVar[list[TellingVfs]] = []

    def __init__(self, tell: Tell) -> None:
        self._all.append(self)
        self._tell = tell
        find = LIBRARY.sqlite3_vfs_find
        find.restype = POINTER(Vfs)
        self._system = find(None)
        self._own = Vfs.from_buffer_copy(self._system.contents)
        self._own.name = b"telling"
        self._paths: dict[int, str] = {}
        self._methods: dict[int, Methods] = {}
        # a function that C calls must outlive the call
        self._kept: list[Any] = []
        self._open = self._replaced(self._own, "open", Open, self._on_open)
        self._delete = self._replaced(self._own, "delete", Delete, self._on_delete)
        own = cast(self._system.contents.get_system_call, GetCall)(self._system, b"openDirectory")
        self._open_folder = OpenFolder(own)
        self._set_call = cast(self._system.contents.set_system_call, SetCall)

    def install(self) -> None:
        """From here on it is told."""
        LIBRARY.sqlite3_vfs_register(byref(self._own), 1)
        opened = OpenFolder(self._on_open_folder)
        self._kept.append(opened)
        self._set_call(self._system, b"openDirectory", cast(opened, c_void_p))

    def remove(self) -> None:
        """The system's own again; nothing is told any more."""
        self._tell = lambda *_: None
        self._set_call(self._system, b"openDirectory", None)
        LIBRARY.sqlite3_vfs_register(self._system, 1)
        LIBRARY.sqlite3_vfs_unregister(byref(self._own))

    def _replaced(
        self, table: Structure, name: str, kind: Any, function: Callable[..., int]
    ) -> Any:
        """Puts a function into a table of functions, and returns what stood there."""
        before = cast(getattr(table, name), kind)
        own = kind(function)
        self._kept.append(own)
        setattr(table, name, cast(own, c_void_p))
        return before

    def _on_open(self, _: Any, name: int | None, file: Any, flags: int, out: Any) -> int:
        # passed on as it is: SQLite goes on with the name that stands there
        path = os.fsdecode(ctypes.string_at(name)) if name else ""
        is_new = not os.path.exists(path)  # noqa: PTH110 - a name that SQLite knows as bytes
        if status := self._open(self._system, name, file, flags, out):
            return status
        if path:
            self._paths[ctypes.addressof(file.contents)] = path
            file[0] = ctypes.pointer(self._telling(file[0]))
            if is_new:
                self._tell("create", path)
        return 0

    def _telling(self, methods: Any) -> Methods:
        """The same methods, but those that last."""
        address = ctypes.addressof(methods.contents)
        if address not in self._methods:
            self._methods[address] = own = Methods.from_buffer_copy(methods.contents)
            write = cast(own.write, WriteTo)
            truncate = cast(own.truncate, TruncateTo)
            sync = cast(own.sync, SyncFile)

            def on_write(file: Any, data: int, size: int, at: int) -> int:
                self._tell("write", self._path(file), at, ctypes.string_at(data, size))
                return int(write(file, data, size, at))

            def on_truncate(file: Any, size: int) -> int:
                self._tell("truncate", self._path(file), size)
                return int(truncate(file, size))

            def on_sync(file: Any, flags: int) -> int:
                status = int(sync(file, flags))
                self._tell("sync", self._path(file))
                return status

            self._replaced(own, "write", WriteTo, on_write)
            self._replaced(own, "truncate", TruncateTo, on_truncate)
            self._replaced(own, "sync", SyncFile, on_sync)
        return self._methods[address]

    def _path(self, file: Any) -> str:
        return self._paths[ctypes.addressof(file.contents)]

    def _on_delete(self, _: Any, name: bytes, sync_folder: int) -> int:
        if not (status := self._delete(self._system, name, 0)):
            self._tell("unlink", os.fsdecode(name))
            if sync_folder:
                self._tell("sync_folder", os.path.dirname(os.fsdecode(name)))  # noqa: PTH120
        return int(status)

    def _on_open_folder(self, name: bytes, descriptor: Any) -> int:
        # SQLite opens a folder only to sync it
        self._tell("sync_folder", os.path.dirname(os.fsdecode(name)))  # noqa: PTH120
        return int(self._open_folder(name, descriptor))
