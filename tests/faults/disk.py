"""A disk that knows what of it would survive a power loss.

Every function of `os` that changes a disk is wrapped. What it changes is written down as an
operation on names (of a folder) or on bytes and mode (of a file), with the folder or file whose
fsync makes it durable. From that follow the trees that a power loss at this moment could leave.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from evenkeel.host.state import live

FOLDER, FILE, LINK = "folder", "file", "link"
WRITING = os.O_WRONLY | os.O_RDWR | os.O_TRUNC
_RAW = {
    name: getattr(os, name)
    for name in (
        "open", "close", "write", "pwrite", "fsync", "fchmod", "chmod", "rename", "replace",
        "symlink", "link", "unlink", "remove", "mkdir", "rmdir", "truncate", "ftruncate", "utime",
    )
}  # fmt: skip

_HANDLE = re.compile(r"/proc/self/fd/(\d+)/([^/]+)")
# Path from the root -> what is there: kind, bytes or target, mode.
Tree = dict[str, tuple[str, bytes, int]]
# Gets the kind of an operation and its path, before it happens; may raise.
Hook = Callable[[str, str], None]


class Dead(BaseException):
    """The program was killed here: nothing that it does afterwards has an effect."""


@dataclass
class Operation:
    """One change of the disk, and the folders and files whose fsync it still waits for."""

    what: str
    names: list[tuple[int, str, int | None]] = field(default_factory=list)
    data: tuple[int, bytes] | None = None
    mode: tuple[int, int] | None = None
    waits_for: set[int] = field(default_factory=set)


@dataclass
class State:
    """Content of a disk, by numbers of folders and files."""

    names: dict[int, dict[str, int]] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    modes: dict[int, int] = field(default_factory=dict)

    def copy(self) -> State:
        names = {folder: dict(found) for folder, found in self.names.items()}
        return State(names, dict(self.data), dict(self.modes))

    def apply(self, operation: Operation, empty: bool = False) -> None:
        for folder, name, node in operation.names:
            if node is None:
                self.names[folder].pop(name, None)
            else:
                self.names[folder][name] = node
        if operation.data:
            node, data = operation.data
            self.data[node] = b"" if empty else data
        if operation.mode:
            self.modes[operation.mode[0]] = operation.mode[1]


class Disk:
    """The folder `root`, without the names in `ignored`; `wall` gives the time for its files."""

    def __init__(self, root: Path, wall: Callable[[], float], ignored: str = "process") -> None:
        self.root = str(root)
        self.before: Hook = lambda kind, path: None
        self.dead = False
        self._wall = wall
        self._ignored = ignored
        self._last = 0
        self._handles: dict[int, int] = {}
        self.settle()

    def settle(self) -> None:
        """Take what is there now as durable, as after `sync`."""
        self.kinds: dict[int, str] = {}
        self.now = State()
        self.operations: list[Operation] = []
        self._top = self._read(self.root)
        self._durable = self.now.copy()

    def _read(self, path: str) -> int:
        facts = os.lstat(path)
        if os.path.islink(path):
            node = self._new(LINK, os.readlink(path).encode(), 0o777)
        elif os.path.isdir(path):
            node = self._new(FOLDER, b"", facts.st_mode & 0o777)
            for name in sorted(os.listdir(path)):
                if path != self.root or not name.startswith(self._ignored):
                    self.now.names[node][name] = self._read(os.path.join(path, name))
        else:
            node = self._new(FILE, Path(path).read_bytes(), facts.st_mode & 0o777)
        return node

    def _new(self, kind: str, data: bytes, mode: int) -> int:
        self._last += 1
        node = self._last
        self.kinds[node] = kind
        for state in {id(s): s for s in (self.now, getattr(self, "_durable", self.now))}.values():
            state.data[node], state.modes[node] = data, mode
            if kind == FOLDER:
                state.names[node] = {}
        return node

    # What a power loss leaves.

    def tree(self, state: State | None = None) -> Tree:
        """Give `state` (by default what is visible now) by path."""
        found: Tree = {}

        def walk(node: int, path: str) -> None:
            kind = self.kinds[node]
            found[path] = (kind, chosen.data[node], chosen.modes[node])
            for name, below in sorted(chosen.names.get(node, {}).items()):
                walk(below, f"{path}/{name}" if path else name)

        chosen = self.now if state is None else state
        walk(self._top, "")
        return found

    def losses(self) -> Iterator[tuple[str, Tree]]:
        """Give every tree that a power loss could leave now, and what was lost.

        Names outlive it when their folder was fsynced after them, bytes when their file was.
        """
        waiting = [operation for operation in self.operations if operation.waits_for]
        yield "nothing", self.tree()
        if not waiting:
            return
        yield "all that was not synced", self.tree(self._without(waiting))
        yield "the bytes of files that were not synced", self.tree(self._without([], True))
        for operation in waiting:
            yield f"only: {operation.what}", self.tree(self._without([operation]))
            others = [other for other in waiting if other is not operation]
            yield f"all but: {operation.what}", self.tree(self._without(others))

    def _without(self, lost: list[Operation], empty: bool = False) -> State:
        state = self._durable.copy()
        for operation in self.operations:
            if not any(operation is other for other in lost):
                state.apply(operation, empty and bool(operation.waits_for))
        return state

    def put(self, tree: Tree) -> None:
        """Make the real disk what `tree` says, all of it durable."""
        for name in os.listdir(self.root):
            if not name.startswith(self._ignored):
                path = os.path.join(self.root, name)
                real = os.path.isdir(path) and not os.path.islink(path)
                shutil.rmtree(path) if real else _RAW["unlink"](path)
        for name, (kind, data, mode) in tree.items():
            path = os.path.join(self.root, name)
            if kind == FOLDER and name:
                _RAW["mkdir"](path)
            elif kind == LINK:
                _RAW["symlink"](data.decode(), path)
            elif kind == FILE:
                Path(path).write_bytes(data)
            if kind != LINK:
                _RAW["chmod"](path, mode)
            self._stamp(path)
        self._handles.clear()
        self.settle()

    def demand_complete(self) -> None:
        """Prove that nothing on the disk has changed but by what was written down."""
        written = self.tree()
        self.settle()
        assert written == self.tree()

    # What is wrapped.

    @contextlib.contextmanager
    def watched(self) -> Iterator[Disk]:
        """Write down what happens. Files carry the time of the host's own clock."""
        with contextlib.ExitStack() as stack:
            for name in _RAW:
                wrapper = getattr(self, f"_{name}", None)
                if wrapper is not None:
                    stack.enter_context(mock.patch.object(os, name, wrapper))
            stack.enter_context(mock.patch.object(live, "_changed", _stamped))
            yield self

    def _place(self, path: Any, dir_fd: int | None = None) -> tuple[int, str, str] | None:
        """Give the folder, the name in it and the whole path; None for a place not watched."""
        path = os.fspath(path)
        if dir_fd is not None:
            folder = self._handles.get(dir_fd)
            return None if folder is None else (folder, path, path)
        if not isinstance(path, str):
            return None
        through = _HANDLE.fullmatch(path)
        if through:
            return self._place(through[2], int(through[1]))
        if not path.startswith(self.root + "/"):
            return None
        parts = path[len(self.root) + 1 :].split("/")
        if parts[0].startswith(self._ignored):
            return None
        folder = self._top
        for part in parts[:-1]:
            below = self.now.names.get(folder, {}).get(part)
            if below is None:
                return None
            folder = below
        return (folder, parts[-1], path) if folder in self.now.names else None

    def _gate(self, kind: str, path: str) -> None:
        if self.dead:
            raise Dead
        self.before(kind, path)

    def _done(self, operation: Operation, stamp: str = "") -> None:
        self.now.apply(operation)
        self.operations.append(operation)
        if stamp:
            self._stamp(stamp)
        while self.operations and not self.operations[0].waits_for:
            self._durable.apply(self.operations.pop(0))

    def _stamp(self, path: str) -> None:
        with contextlib.suppress(OSError):
            _RAW["utime"](path, (self._wall(), self._wall()), follow_symlinks=False)

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        place = self._place(path, dir_fd)
        node = place and self.now.names[place[0]].get(place[1])
        if place and node is None and flags & os.O_CREAT:
            self._gate("create", place[2])
        elif place and flags & WRITING:
            self._gate("open to write", place[2])
        handle: int = _RAW["open"](path, flags, mode, dir_fd=dir_fd)
        self._handles.pop(handle, None)
        if place is None:
            if path == self.root:
                self._handles[handle] = self._top
            return handle
        if node is None:
            node = self._new(FILE, b"", os.fstat(handle).st_mode & 0o777)
            operation = Operation(f"create {place[1]}", [(place[0], place[1], node)])
            operation.waits_for = {place[0]}
            self._done(operation, place[2] if dir_fd is None else "")
        if flags & WRITING or self.kinds[node] == FOLDER:
            self._handles[handle] = node
        return handle

    def _close(self, handle: int) -> None:
        self._handles.pop(handle, None)
        _RAW["close"](handle)

    def _write(self, handle: int, data: Any) -> int:
        node = self._handles.get(handle)
        if node is None:
            return int(_RAW["write"](handle, data))
        at = os.lseek(handle, 0, os.SEEK_CUR)
        return self._pwrite(handle, data, at, raw=lambda: int(_RAW["write"](handle, data)))

    def _pwrite(
        self, handle: int, data: Any, offset: int, raw: Callable[[], int] | None = None
    ) -> int:
        node = self._handles.get(handle)
        if node is None:
            return int(_RAW["pwrite"](handle, data, offset))
        self._gate("write", os.readlink(f"/proc/self/fd/{handle}"))
        count = raw() if raw else int(_RAW["pwrite"](handle, data, offset))
        old = self.now.data[node].ljust(offset, b"\0")
        content = old[:offset] + bytes(data[:count]) + old[offset + count :]
        self._done(Operation("write", data=(node, content), waits_for={node}))
        return count

    def _fsync(self, handle: int) -> None:
        # The real fsync proves nothing here, and takes time.
        node = self._handles.get(handle)
        if node is not None:
            self._gate("fsync", os.readlink(f"/proc/self/fd/{handle}"))
            for operation in self.operations:
                operation.waits_for.discard(node)

    def _fchmod(self, handle: int, mode: int) -> None:
        node = self._handles.get(handle)
        if node is not None:
            self._gate("mode", os.readlink(f"/proc/self/fd/{handle}"))
            self._done(Operation("mode", mode=(node, mode), waits_for={node}))
        _RAW["fchmod"](handle, mode)

    def _chmod(self, path: Any, mode: int, **more: Any) -> None:
        place = None if isinstance(path, int) else self._place(path)
        if place:
            self._gate("mode", place[2])
        _RAW["chmod"](path, mode, **more)
        node = place and self.now.names[place[0]].get(place[1])
        if node:
            self._done(Operation("mode", mode=(node, mode), waits_for={node}))

    def _rename(self, old: Any, new: Any) -> None:
        source, target = self._place(old), self._place(new)
        if source is None or target is None:
            _RAW["rename"](old, new)
            return
        self._gate("rename", target[2])
        _RAW["rename"](old, new)
        node = self.now.names[source[0]][source[1]]
        names = [(source[0], source[1], None), (target[0], target[1], node)]
        operation = Operation(f"rename to {target[1]}", names, waits_for={source[0], target[0]})
        self._done(operation, target[2])

    def _symlink(self, target: str, path: Any) -> None:
        place = self._place(path)
        if place:
            self._gate("symlink", place[2])
        _RAW["symlink"](target, path)
        if place:
            node = self._new(LINK, os.fspath(target).encode(), 0o777)
            what = f"link {place[1]}"
            self._done(Operation(what, [(place[0], place[1], node)], waits_for={place[0]}), path)

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove_name("unlink", path, dir_fd)

    def _rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove_name("rmdir", path, dir_fd)

    def _remove_name(self, kind: str, path: Any, dir_fd: int | None) -> None:
        place = self._place(path, dir_fd)
        if place:
            self._gate(kind, place[2])
        _RAW[kind](path, dir_fd=dir_fd)
        if place:
            names = [(place[0], place[1], None)]
            self._done(Operation(f"{kind} {place[1]}", names, waits_for={place[0]}))

    def _mkdir(self, path: Any, mode: int = 0o777) -> None:
        place = self._place(path)
        if place:
            self._gate("mkdir", place[2])
        _RAW["mkdir"](path, mode)
        if place:
            node = self._new(FOLDER, b"", os.lstat(path).st_mode & 0o777)
            what = f"mkdir {place[1]}"
            self._done(Operation(what, [(place[0], place[1], node)], waits_for={place[0]}), path)


def _stamped(path: str) -> float:
    """When a file was last changed, by the host's own clock; nobody can set a ctime."""
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0
