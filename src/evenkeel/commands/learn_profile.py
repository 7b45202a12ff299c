"""scripts/learn_profile: learn a traffic profile from access logs.

See docs/how-to/learn-a-traffic-profile.md.
"""

from __future__ import annotations

import argparse
import gzip
import secrets
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from evenkeel.commands import run
from evenkeel.errors import Refused
from evenkeel.profile.learn import TOP, Learner
from evenkeel.profile.traffic_profile import MOST_ROWS
from evenkeel.records import write_atomically

# Longer lines are cut; the rest is no second line.
LONGEST_LINE_BYTES = 64 * 1024
_GZIP = b"\x1f\x8b"
_KEY_BYTES = 32


def main(arguments: list[str]) -> int:
    """Read the logs, write the profile and say on standard error what was learnt."""
    given = _parser().parse_args(arguments)
    learner = Learner(_key(given.key_file), given.host_capture)
    began = time.monotonic()
    for path in given.logs:
        for line in lines_of(path):
            learner.take(line)
    profile = learner.profile(given.top)
    data = profile.model_dump_json(indent=2).encode() + b"\n"
    write_atomically(Path(given.output).absolute(), data, 0o644)
    rate = (learner.lines + learner.bad) / max(0.001, time.monotonic() - began)
    sys.stderr.write(
        f"{learner.lines} requests learnt ({learner.kind}), {learner.bad} lines not understood,"
        f" {rate:.0f} lines a second\n{len(profile.rows)} groups named,"
        f" {profile.other_share:.1%} of the requests in no named group: {given.output}\n"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/learn_profile", description=__doc__)
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="plain or gzip")
    parser.add_argument("--output", required=True, metavar="FILE")
    parser.add_argument(
        "--host-capture", type=int, default=1, metavar="N",
        help="which captured request header of HAProxy's is the host (default 1; 0: none)",
    )  # fmt: skip
    parser.add_argument("--top", type=_rows, default=TOP, metavar="N", help="groups that are named")
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE",
        help="the key of the clients' hashes (default: a fresh one that is thrown away)",
    )  # fmt: skip
    return parser


def _rows(text: str) -> int:
    if not 1 <= int(text) <= MOST_ROWS:
        raise argparse.ArgumentTypeError(f"wanted 1 to {MOST_ROWS}")
    return int(text)


def _key(path: Path | None) -> bytes:
    if path is None:
        return secrets.token_bytes(_KEY_BYTES)
    try:
        with path.open("rb") as stream:
            key = stream.read(65).strip()
    except OSError as error:
        raise Refused("The key cannot be read", where=str(path), got=str(error.strerror)) from None
    if not 16 <= len(key) <= 64:
        raise Refused("The key is of no use", where=str(path), wanted="16 to 64 bytes")
    return key


def lines_of(path: Path) -> Iterator[str]:
    """Give the lines of a log, plain or gzip; raises Refused when it cannot be read."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            while line := stream.readline(LONGEST_LINE_BYTES):
                yield line.decode("utf-8", "replace")
                while line and not line.endswith(b"\n"):
                    line = stream.readline(LONGEST_LINE_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(
            "The log cannot be read",
            where=str(path),
            wanted="an access log, plain or gzip",
            got=(getattr(error, "strerror", None) or str(error))[:200],
        ) from None


if __name__ == "__main__":
    run(main)
