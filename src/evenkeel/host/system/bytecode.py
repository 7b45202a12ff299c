"""Keep the bytecode of the program and of a driver, so that the next start need not compile.

The program is one file of sources, and so is the driver of a balancer. Compiling them takes longer
than most verbs. So the installed program, run as root, keeps the bytecode of each in a file that
only root can write. It uses that file only for exactly these sources and this Python. If anything
is wrong with the file, the program runs from its sources.

The bytecode is read once. So a new program, a new driver or a cleared cache disturbs no program
that runs.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, BinaryIO, Dict, Optional, Tuple

PROGRAM = "/usr/local/sbin/evenkeel-host"
CACHES = "/var/cache/evenkeel"
CACHE = f"{CACHES}/evenkeel-host.code"
# It runs at boot, before other file systems are mounted.
BOOT_VERB = "recover"

Modules = Dict[str, Tuple[bool, bytes]]
"""Name of a module: whether it is a package, and its code as marshal writes it."""


class Kept:
    """Imports modules whose bytecode was kept."""

    # Importing importlib.abc would take longer than this saves.

    def __init__(self, modules: Modules) -> None:
        self._modules = modules

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Optional[ModuleSpec]:
        """Give the spec of a module that was kept."""
        if name not in self._modules:
            return None
        return ModuleSpec(name, self, is_package=self._modules[name][0])  # type: ignore[arg-type]

    def has(self, name: str) -> bool:
        """Say whether a module was kept."""
        return name in self._modules

    def create_module(self, _spec: ModuleSpec) -> None:
        """Let Python make the module as usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        exec(marshal.loads(self._modules[module.__name__][1]), module.__dict__)  # noqa: S102, S302


def at_boot() -> bool:
    """Say whether this is the start before the balancer's: then nothing is kept."""
    return sys.argv[3:4] == [BOOT_VERB]


def modules_of(sources: BinaryIO, cache: str, may_write: bool) -> Optional[Modules]:
    """Give the compiled modules of a zip file from `cache`, or (`may_write`) newly kept there.

    None when they cannot be had that way.
    """
    try:
        # Only the kernel sets ctime, so no other content matches.
        facts = os.fstat(sources.fileno())
        made_of = [sources.name, facts.st_ino, facts.st_size, facts.st_ctime_ns, sys.version]
        kept = _read(cache)
        if kept is not None and kept.get("made_of") == made_of:
            modules: Modules = kept["modules"]
            return modules
        if not may_write or not _made_ours(os.path.dirname(cache)):
            return None
        modules = compiled(sources)
        _write(cache, marshal.dumps({"made_of": made_of, "modules": modules}))
        return modules
    except (OSError, ValueError, KeyError, SyntaxError):
        return None


def _read(cache: str) -> Optional[Dict[str, Any]]:
    """Give what `cache` holds; None when there is none, or when another user could have made it."""
    folder = os.path.dirname(cache)
    try:
        if not _is_ours(os.lstat(folder), stat.S_IFDIR):
            return None
        handle = os.open(cache, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not _is_ours(os.fstat(handle), stat.S_IFREG):
            return None
        try:
            kept = marshal.loads(file.read())  # noqa: S302 - nobody but root wrote it
        except (ValueError, EOFError, TypeError):
            return None
    return kept if isinstance(kept, dict) else None


def _is_ours(facts: os.stat_result, kind: int) -> bool:
    alone = facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
    return alone and stat.S_IFMT(facts.st_mode) == kind


def _made_ours(folder: str) -> bool:
    """Make the folder if it is missing; say whether only this user can write there."""
    os.makedirs(folder, 0o700, exist_ok=True)
    return _is_ours(os.lstat(folder), stat.S_IFDIR)


def _write(cache: str, data: bytes) -> None:
    temporary = f"{cache}.{os.getpid()}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.rename(temporary, cache)
    except OSError:
        os.unlink(temporary)
        raise


def compiled(sources: BinaryIO) -> Modules:
    """Give the modules of a zip file of sources, all compiled now."""
    import zipfile

    modules: Modules = {}
    with zipfile.ZipFile(sources) as archive:
        for path in archive.namelist():
            parts = path[: -len(".py")].split("/")
            package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if package else parts)
            code = compile(archive.read(path), f"{sources.name}/{path}", "exec", dont_inherit=True)
            modules[name] = (package, marshal.dumps(code))
    # The module of this name runs already.
    modules.pop("__main__", None)
    return modules


def use(program: str) -> None:
    """Import from here on what was kept of `program`, a zip file of sources, or keep it now.

    Only for the installed program, run as root; otherwise the sources are imported.
    """
    if program != PROGRAM or os.geteuid() != 0:
        return
    with open(program, "rb") as sources:
        modules = modules_of(sources, CACHE, may_write=not at_boot())
    if modules is not None:
        sys.meta_path.insert(0, Kept(modules))
