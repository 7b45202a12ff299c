"""Whatever the deploy user sends to the program, it is refused or harmless, in bounded memory."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest
from contract.deploy_user import line, program, user
from contract.hosts import PROGRAM, Host, intent

from evenkeel.host.state.archive import LARGEST_ARCHIVE_BYTES, MOST_FILES, pack
from evenkeel.host.system.sha256 import canonical

# Several times what one release may hold, and far from what would hurt a host.
MOST_MEMORY_BYTES = 6 * LARGEST_ARCHIVE_BYTES


def tar_of(host: Host, *members: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT) -> bytes:
    """Give a whole release, and then what an attacker adds to it."""
    release = host.render(intent(weight=80))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))
    return release.archive("pushed")[:-1024] + out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> Any:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


def pax(host: Host) -> bytes:
    long = member("x" * 200)
    long.pax_headers = {"path": "/etc/owned", "GNU.sparse.size": "9" * 18}
    return tar_of(host, long, form=tarfile.PAX_FORMAT)


def declared(host: Host) -> bytes:
    """A header that promises eight gigabytes less a byte."""
    blocks = bytearray(tar_of(host, member("fake"))[-10240:])
    blocks[124:136] = b"77777777777\0"
    blocks[148:156] = b" " * 8
    blocks[148:156] = b"%06o\0 " % sum(blocks[:512])
    return host.render(intent(weight=80)).archive("pushed")[:-1024] + bytes(blocks)


def many(host: Host) -> bytes:
    files = {f"f{number}": b"" for number in range(MOST_FILES + 1)}
    facts = {"sha256": "0" * 64, "size": 0, "mode": "0600"}
    head = {"change_id": "pushed", "digest": "0" * 64, "release": "0" * 64}
    return pack(canonical({**head, "files": dict.fromkeys(files, facts)}), files)


def twice(host: Host) -> bytes:
    release = host.render(intent(weight=80))
    name = next(iter(release.files))
    return tar_of(host, member(name))


ARCHIVES = {
    "symlink": lambda host: tar_of(host, member("x", tarfile.SYMTYPE, "/etc/shadow")),
    "hard link": lambda host: tar_of(host, member("x", tarfile.LNKTYPE, "/etc/shadow")),
    "character device": lambda host: tar_of(host, member("x", tarfile.CHRTYPE)),
    "block device": lambda host: tar_of(host, member("x", tarfile.BLKTYPE)),
    "fifo": lambda host: tar_of(host, member("x", tarfile.FIFOTYPE)),
    "folder": lambda host: tar_of(host, member("x", tarfile.DIRTYPE)),
    "absolute": lambda host: tar_of(host, member("/etc/owned")),
    "climbing": lambda host: tar_of(host, member("../../../../../etc/owned")),
    "climbing in the middle": lambda host: tar_of(host, member("a/../../x")),
    "zero byte": lambda host: tar_of(host, member("a\0/../x")),
    "line break": lambda host: tar_of(host, member("a\nb")),
    "beside the approvals": lambda host: tar_of(host, member(".change/approvals/../x.json")),
    "long name": lambda host: tar_of(host, member("y" * 300), form=tarfile.GNU_FORMAT),
    "pax": pax,
    "sparse": lambda host: tar_of(host, member("x", tarfile.GNUTYPE_SPARSE)),
    "twice": twice,
    "many": many,
    "declared": declared,
    "cut": lambda host: host.render(intent(weight=80)).archive("pushed")[:2000],
    "nothing": lambda host: b"",
    "noise": lambda host: bytes(range(256)) * 64,
    "brackets": lambda host: pack(b"[" * 500_000, {}),
    "large manifest": lambda host: pack(b" " * 2_000_000, {}),
}


def test_every_crafted_archive_is_refused(unchanged: Host) -> None:
    release = unchanged.render(intent(weight=80)).digest
    words = ("prepare", "--change", "pushed", "--release", release)
    for name, make in ARCHIVES.items():
        code, answer = program(unchanged, *words, stdin=make(unchanged))
        assert (code, answer["outcome"]) == (10, "untouched"), (name, answer)
        error = answer["error"]
        assert "standard input" in error["what"] and error["next_step"], (name, error)


# Runs a command with an endless file as its input; says how it ended and what it took at most.
MEASURED = """
import json, resource, subprocess, sys
with open("/dev/zero", "rb") as endless:
    done = subprocess.run(["sudo", "-n", *sys.argv[1:]], stdin=endless, capture_output=True)
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps([done.returncode, most, json.loads(done.stdout)]))
"""


@pytest.mark.parametrize("verb", ["prepare", "observe"])
def test_an_endless_stream_ends_in_bounded_memory(unchanged: Host, verb: str) -> None:
    words = {
        "prepare": ("--change", "pushed", "--release", "0" * 64),
        "observe": ("--change", "pushed", "--seconds", "0"),
    }
    inside = (PROGRAM, *line(unchanged, verb, *words[verb]))
    code, said = user(unchanged, "/usr/bin/python3", "-c", MEASURED, *inside)
    assert code == 0, said
    exit_code, most, answer = json.loads(said)
    assert exit_code == 10 and answer["error"]["wanted"]
    assert 1024 * 1024 < most < MOST_MEMORY_BYTES
