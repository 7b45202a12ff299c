"""A release on its way: a tar with `manifest.json` first and then the files, nothing else.

An approved change brings along what was approved, below `.change/`, a name that no file of a
release can have: the manifest of the whole change, and the approvals with their signatures.

Reads the plain ustar subset on purpose: a header that is not a regular file with a short relative
name is refused, so links, devices, climbing paths and extended headers have no way in.
`pack` writes exactly what `unpack` reads, byte-identical for identical content.
"""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from evenkeel.host.errors import Refused
from evenkeel.host.system.sha256 import canonical, sha256_of

if TYPE_CHECKING:
    from evenkeel.host.system.stdin import Stream

MANIFEST = "manifest.json"
# A configuration with 50,000 servers is about 5 MiB.
LARGEST_ARCHIVE_BYTES = 64 * 1024 * 1024
# In a release, and in a change: some 30,000 hosts.
LARGEST_MANIFEST_BYTES = 1024 * 1024
LARGEST_CHANGE_BYTES = 16 * 1024 * 1024
LARGEST_APPROVAL_BYTES = 4 * 1024 * 1024
MOST_FILES = 256
MODES = {"0600": 0o600, "0640": 0o640}

_CHANGE_FOLDER = ".change/"
CHANGE_MANIFEST = f"{_CHANGE_FOLDER}{MANIFEST}"

_BLOCK = 512
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}"
_DIGEST = r"[0-9a-f]{64}"
_CHANGE = r"[a-z0-9][a-z0-9._-]{0,63}"
_APPROVAL = r"\.change/approvals/([A-Za-z0-9][A-Za-z0-9._@+-]{0,63})\.json(\.sig)?"


class Release(NamedTuple):
    """Files with the digest of their content, and which change brought them (may be empty)."""

    digest: str
    files: Dict[str, bytes]
    modes: Dict[str, int]
    change: str
    change_digest: str
    # Name in the archive -> approved bytes; empty without approvals.
    approved: Mapping[str, bytes] = MappingProxyType({})


def release_digest(files: Dict[str, bytes]) -> str:
    """Give the content address of `files`: sha256 of the canonical JSON of their sha256s."""
    sums = {name: sha256_of(data) for name, data in files.items()}
    return sha256_of(canonical({"files": sums}))


def is_digest(text: str) -> bool:
    """Tell whether `text` is written like the content address of a release."""
    return re.fullmatch(_DIGEST, text) is not None


def is_file_name(name: str) -> bool:
    """Tell whether `name` is a relative path that stays inside a release."""
    return len(name) <= 100 and name != MANIFEST and re.fullmatch(_NAME, name) is not None


def approval_name(person: str) -> str:
    """Give the name that the approval of `person` has in an archive; its signature adds `.sig`."""
    return f"{_CHANGE_FOLDER}approvals/{person}.json"


def approver_of(name: str) -> Optional[str]:
    """Give the person whose approval has this name in an archive; None when it is no approval."""
    match = re.fullmatch(_APPROVAL, name)
    return match.group(1) if match and not match.group(2) else None


def pack(
    manifest: bytes, files: Mapping[str, bytes], approved: Optional[Mapping[str, bytes]] = None
) -> bytes:
    """Give the archive of a release: `manifest` (JSON bytes) first, then `files` by name.

    `approved` is what was approved of the whole change, by its name in the archive.
    """
    return _tar([(MANIFEST, manifest), *sorted(files.items()), *sorted((approved or {}).items())])


def tar(named: Mapping[str, bytes]) -> bytes:
    """Give what was approved, `named` as in the archive that brought it, as a tar of its own."""
    return _tar(sorted(named.items()))


def _tar(named: Iterable[Tuple[str, bytes]]) -> bytes:
    parts: List[bytes] = []
    for name, data in named:
        parts += [_header(name, len(data)), data, b"\0" * (-len(data) % _BLOCK)]
    return b"".join(parts) + b"\0" * (2 * _BLOCK)


def unpack(stream: Stream) -> Release:
    """Read a release from `stream` and check every byte of it against its manifest.

    Raises Refused for anything but the named regular files with the named sizes and digests.
    """
    data = stream.read(LARGEST_ARCHIVE_BYTES + 1)
    if len(data) > LARGEST_ARCHIVE_BYTES:
        raise _refused("is too large", f"at most {LARGEST_ARCHIVE_BYTES} bytes", "more")
    found = members(data)
    if not found or next(iter(found)) != MANIFEST:
        first = next(iter(found), "nothing")
        raise _refused("does not begin with its manifest", MANIFEST, first)
    manifest = _manifest(found.pop(MANIFEST))
    approved = {name: found.pop(name) for name in list(found) if name.startswith(_CHANGE_FOLDER)}
    return _checked(manifest, found)._replace(approved=approved)


def _header(name: str, size: int) -> bytes:
    fields = name.encode().ljust(100, b"\0") + b"0000600\0" + b"0000000\0" * 2
    fields += b"%011o\0" % size + b"%011o\0" % 0 + b" " * 8 + b"0" + b"\0" * 100
    fields = (fields + b"ustar\x0000").ljust(_BLOCK, b"\0")
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _refused(what: str, wanted: str, got: str) -> Refused:
    return Refused(
        f"The release on standard input {what}",
        where="standard input",
        wanted=wanted,
        got=got[:200],
        next_step="render the change again and send it again",
    )


def _octal(field: bytes, what: str) -> int:
    text = field.rstrip(b"\0 ").lstrip(b" ")
    if not re.fullmatch(rb"[0-7]{1,11}", text):
        raise _refused("is damaged", f"an octal {what}", repr(bytes(field)))
    return int(text, 8)


def members(data: bytes) -> Dict[str, bytes]:
    """Give the files in the tar `data`, in their order. Raises Refused for anything but files."""
    found: Dict[str, bytes] = {}
    at = 0
    while True:
        header = data[at : at + _BLOCK]
        if len(header) < _BLOCK:
            raise _refused("ends too early", "two blocks of zeros at the end", "none")
        if not any(header):
            return found
        name, size = _member(header)
        at += _BLOCK
        if at + size > len(data):
            raise _refused("ends too early", f"{size} bytes of {name}", f"{len(data) - at}")
        if name in found:
            raise _refused("names a file twice", "each name once", name)
        if len(found) > MOST_FILES:
            raise _refused("holds too many files", f"at most {MOST_FILES}", "more")
        found[name] = data[at : at + size]
        at += size + (-size % _BLOCK)


def _member(header: bytes) -> "tuple[str, int]":
    if header[257:262] != b"ustar":
        raise _refused("is no tar archive", "ustar headers", repr(header[257:263]))
    blank = header[:148] + b" " * 8 + header[156:]
    if _octal(header[148:156], "checksum") != sum(blank):
        raise _refused("is damaged", "the header's checksum", "another")
    name = header[:100].rstrip(b"\0").decode("ascii", "replace")
    if header[156:157] not in (b"0", b"\0"):
        raise _refused(
            "holds something that is no regular file", "regular files", f"{name!r} is none"
        )
    if any(header[345:500]) or not _is_member_name(name):
        raise _refused(
            "names a file that is not allowed",
            "short relative paths of letters, digits and _ . - that do not climb",
            repr(name),
        )
    size = _octal(header[124:136], "size")
    largest = LARGEST_APPROVAL_BYTES if re.fullmatch(_APPROVAL, name) else LARGEST_ARCHIVE_BYTES
    limit = _LARGEST.get(name, largest)
    if size > limit:
        raise _refused("holds a file that is too large", f"{name} of at most {limit} bytes", "more")
    return name, size


_LARGEST = {MANIFEST: LARGEST_MANIFEST_BYTES, CHANGE_MANIFEST: LARGEST_CHANGE_BYTES}


def _is_member_name(name: str) -> bool:
    ours = name in (MANIFEST, CHANGE_MANIFEST) or re.fullmatch(_APPROVAL, name) is not None
    return ours or is_file_name(name)


def _manifest(data: bytes) -> Dict[str, Any]:
    try:
        manifest = json.loads(data)
        files = manifest["files"]
        sound = (
            re.fullmatch(_CHANGE, manifest["change_id"])
            and re.fullmatch(_DIGEST, manifest["digest"])
            and re.fullmatch(_DIGEST, manifest["release"])
            and all(is_file_name(name) for name in files)
            and all(
                re.fullmatch(_DIGEST, facts["sha256"]) and isinstance(facts["size"], int)
                for facts in files.values()
            )
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = None
    if not sound:
        raise _refused(
            "has a manifest that cannot be read",
            "change_id, digest, release and files with sha256, size and mode",
            "something else",
        )
    modes = {name: facts.get("mode") for name, facts in files.items()}
    wrong = [
        f"{name}: {mode!r}"
        for name, mode in modes.items()
        if not (isinstance(mode, str) and mode in MODES)
    ]
    if wrong:
        raise _refused("asks for a file mode", " or ".join(MODES), wrong[0])
    for name in sorted(files):
        parents = name.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            if "/".join(parents[:depth]) in files:
                raise _refused(
                    "names a file that is a folder as well",
                    "names of which none is the beginning of another's path",
                    f"{'/'.join(parents[:depth])} and {name}",
                )
    result: Dict[str, Any] = manifest
    return result


def _checked(manifest: Dict[str, Any], files: Dict[str, bytes]) -> Release:
    listed = manifest["files"]
    for name in sorted(set(listed) ^ set(files)):
        side = "is missing" if name in listed else "is not in the manifest"
        raise _refused("differs from its manifest", "the files of the manifest", f"{name} {side}")
    for name, data in files.items():
        if len(data) != listed[name]["size"]:
            raise _refused(
                "differs from its manifest",
                f"{listed[name]['size']} bytes of {name}",
                f"{len(data)} bytes",
            )
        if sha256_of(data) != listed[name]["sha256"]:
            raise _refused("differs from its manifest", f"{name} with its sha256", "another sha256")
    digest = release_digest(files)
    if digest != manifest["release"]:
        raise _refused("differs from its manifest", f"release {manifest['release']}", digest)
    modes = {name: MODES[facts["mode"]] for name, facts in listed.items()}
    return Release(digest, files, modes, manifest["change_id"], manifest["digest"])
