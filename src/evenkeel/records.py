"""The record of each verb: canonical JSON, chained by digest, written atomically.

A record is an envelope around a verb's result. Its file holds canonical JSON and one newline, so
the file's sha256 is the record's, and `sha256sum` can check a chain.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evenkeel.errors import Refused

SCHEMA_VERSION = 1
# A record holds no traffic, so it stays small.
LARGEST_RECORD_BYTES = 64 * 1024 * 1024
# A person's text about a change is one line.
LONGEST_TEXT = 200
_CHANGE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FIELDS = (
    "schema_version",
    "record",
    "change_id",
    "digest",
    "previous",
    "started",
    "ended",
    "versions",
    "body",
)


def canonical_json(value: object) -> bytes:
    """Give the canonical JSON of `value`: sorted keys, no spaces, one newline.

    Raises ValueError for values outside JSON (NaN, infinities).
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode() + b"\n"


def sha256_of(data: bytes) -> str:
    """Give the sha256 of `data` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def check_change_id(change_id: object) -> str:
    """Give `change_id` back when it is a valid name; raises Refused otherwise."""
    if isinstance(change_id, str) and _CHANGE_ID.fullmatch(change_id):
        return change_id
    raise Refused(
        "The change has no usable name",
        where="change",
        wanted="1 to 64 of a-z 0-9 . _ -, starting with a letter or digit",
        got=repr(change_id)[:80],
        next_step="name it with -e change=<change_id>",
    )


def check_text(value: object, name: str) -> str:
    """Give `value` back when it is one short line of printable text; raises Refused otherwise.

    `name` is the variable that it came from. With control characters, line breaks or marks that
    reverse text, a reader could see other text than is signed.
    """
    if not isinstance(value, str):
        got = type(value).__name__
    elif len(value) > LONGEST_TEXT:
        got = f"{len(value)} characters"
    elif not value.isprintable():
        position, letter = next((n, c) for n, c in enumerate(value, 1) if not c.isprintable())
        got = f"{letter!r} at character {position}"
    else:
        return value
    raise Refused(
        f"The value of {name} cannot be shown unchanged",
        where=name,
        wanted=f"one line of at most {LONGEST_TEXT} printable characters",
        got=got,
        next_step=f"write it in plain text: -e {name}=…",
    )


def utc_now() -> str:
    """Give the current UTC time as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the file at `path` with `data`; a reader sees all old bytes or all new ones.

    The bytes reach the disk before the name, and the name before this returns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@dataclass(frozen=True)
class Record:
    """One verb's result. `previous` is the sha256 of the previous record, or None for the first.

    `started` and `ended` are UTC times as `utc_now` gives them; `versions` maps a tool's name to
    its version.
    """

    record: str
    change_id: str
    digest: str
    previous: str | None
    started: str
    ended: str
    body: Mapping[str, Any]
    versions: Mapping[str, str]
    schema_version: int = SCHEMA_VERSION

    def encode(self) -> bytes:
        """Give the bytes of the record's file."""
        return canonical_json({name: getattr(self, name) for name in _FIELDS})

    @property
    def sha256(self) -> str:
        """The record's own digest; the next record has it as `previous`."""
        return sha256_of(self.encode())


def write_record(path: Path, record: Record) -> str:
    """Write `record` to `path` atomically and give its sha256."""
    data = record.encode()
    write_atomically(path, data)
    return sha256_of(data)


def read_file(path: Path, most: int = LARGEST_RECORD_BYTES) -> bytes:
    """Give the first `most` bytes of a regular file.

    Raises OSError, also for other kinds of file: reading a pipe planted in a change's folder would
    never end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        with os.fdopen(handle, "rb", closefd=False) as stream:
            return stream.read(most)
    finally:
        os.close(handle)


def read_json(path: Path, *, what: str, next_step: str) -> Any:
    """Read a JSON file of ours; raises Refused when it is missing, too large or damaged."""
    return read_value(path, what=what, next_step=next_step)[0]


def read_value(path: Path, *, what: str, next_step: str) -> tuple[Any, bytes]:
    """Read a JSON file as `read_json` does; give its value and its bytes."""
    try:
        data = read_file(path, LARGEST_RECORD_BYTES + 1)
        if len(data) > LARGEST_RECORD_BYTES:
            raise Refused(
                f"{what} is larger than Evenkeel writes",
                where=str(path),
                wanted=f"at most {LARGEST_RECORD_BYTES} bytes",
                next_step=next_step,
            )
        return json.loads(data), data
    except FileNotFoundError:
        raise Refused(f"{what} is missing", where=str(path), next_step=next_step) from None
    except OSError as error:
        raise Refused(
            f"{what} cannot be read", where=str(path), got=str(error), next_step=next_step
        ) from None
    except (ValueError, RecursionError):
        raise Refused(
            f"{what} is damaged",
            where=str(path),
            wanted="the JSON that its verb wrote",
            got="text that is not JSON",
            next_step=next_step,
        ) from None


def read_record(path: Path, *, kind: str, next_step: str) -> Record:
    """Read the record of `kind` at `path`.

    Raises Refused when it is missing, damaged, of another kind, from another version, or when its
    bytes are not canonical (it was edited).
    """
    what = f"The record {path.name}"
    value, data = read_value(path, what=what, next_step=next_step)
    if not isinstance(value, dict) or not _is_a_record(value) or value["record"] != kind:
        raise Refused(f"{what} is not a record of {kind}", where=str(path), next_step=next_step)
    if value["schema_version"] != SCHEMA_VERSION:
        raise Refused(
            f"{what} was written by another version of Evenkeel",
            where=str(path),
            wanted=f"schema_version {SCHEMA_VERSION}",
            got=f"schema_version {value['schema_version']}",
            next_step=next_step,
        )
    record = Record(**value)
    try:
        intact = record.encode() == data
    except (ValueError, RecursionError):
        # Python reads more than JSON allows, such as NaN.
        intact = False
    if not intact:
        raise Refused(
            f"{what} was altered after it was written", where=str(path), next_step=next_step
        )
    return record


def _is_a_record(value: Mapping[str, Any]) -> bool:
    texts = ("record", "change_id", "digest", "started", "ended")
    return (
        set(value) == set(_FIELDS)
        and all(isinstance(value[name], str) for name in texts)
        and isinstance(value["previous"], str | None)
        and isinstance(value["body"], dict)
        and isinstance(value["versions"], dict)
    )


def plain(value: Any) -> Any:
    """Give `value` without Ansible's lazy templates and tags: dicts, lists, str, numbers, None."""

    def resolve(item: Any) -> Any:
        if isinstance(item, Mapping):
            return {str(key): resolve(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [resolve(inner) for inner in item]
        return item

    # JSON drops Ansible's tagged subclasses of str and int.
    return json.loads(json.dumps(resolve(value), default=str))
