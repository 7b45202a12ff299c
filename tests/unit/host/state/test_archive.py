import hashlib
import io
import json
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.host.fakes import FIRST, manifest
from unit.host.fakes import archive as packed

from evenkeel.host.errors import Refused
from evenkeel.host.state import archive
from evenkeel.host.state.archive import pack, release_digest, unpack
from evenkeel.host.system.sha256 import canonical

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}(/[a-z0-9]{1,10}){0,3}", fullmatch=True)


def no_file_is_a_folder(files):
    return not any(other.startswith(f"{name}/") for name in files for other in files)


def manifest_of(files):
    facts = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "mode": "0600"}
        for name, data in files.items()
    }
    return {"change_id": "c", "digest": "0" * 64, "release": release_digest(files), "files": facts}


def tar_with(member, data=b""):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        head = canonical(manifest("c", FIRST))
        first = tarfile.TarInfo("manifest.json")
        first.size = len(head)
        tar.addfile(first, io.BytesIO(head))
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return io.BytesIO(out.getvalue())


@given(
    st.dictionaries(NAMES, st.binary(max_size=2000), min_size=1, max_size=5).filter(
        no_file_is_a_folder
    )
)
@settings(max_examples=50, deadline=None)
def test_gives_back_the_files_that_were_packed(files):
    files.pop("manifest.json", None)
    release = unpack(io.BytesIO(pack(canonical(manifest_of(files)), files)))
    assert release.files == files
    assert release.digest == release_digest(files)


def test_reads_the_tar_that_pythons_own_module_writes():
    release = unpack(tar_with(tarfile.TarInfo("fake.cfg"), FIRST))
    assert release.files == {"fake.cfg": FIRST}


def test_writes_a_tar_that_pythons_own_module_reads():
    with tarfile.open(fileobj=io.BytesIO(packed("c", FIRST))) as tar:
        assert tar.getnames() == ["manifest.json", "fake.cfg"]
        assert tar.extractfile("fake.cfg").read() == FIRST


@pytest.mark.parametrize(
    "name",
    ["../fake.cfg", "/etc/passwd", "a/../../b", "./fake.cfg", "a//b", ".hidden", "a b", "é", "a/"],
)
def test_refuses_a_path_that_climbs_out_or_is_odd(name):
    with pytest.raises(Refused, match="not allowed"):
        unpack(tar_with(tarfile.TarInfo(name), FIRST))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
     tarfile.DIRTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE],
)  # fmt: skip
def test_refuses_what_is_no_regular_file(kind):
    member = tarfile.TarInfo("fake.cfg")
    member.type, member.linkname = kind, "/etc/shadow"
    with pytest.raises(Refused, match="no regular file"):
        unpack(tar_with(member))


def test_refuses_a_member_that_the_manifest_does_not_name():
    data = pack(canonical(manifest("c", FIRST)), {"fake.cfg": FIRST, "more.cfg": b""})
    with pytest.raises(Refused) as caught:
        unpack(io.BytesIO(data))
    assert caught.value.got == "more.cfg is not in the manifest"


def test_refuses_a_file_that_is_missing():
    with pytest.raises(Refused) as caught:
        unpack(io.BytesIO(pack(canonical(manifest("c", FIRST)), {})))
    assert caught.value.got == "fake.cfg is missing"


@pytest.mark.parametrize("data", [FIRST + b"#", FIRST[:-1], FIRST.upper()])
def test_refuses_bytes_that_differ_from_the_manifest(data):
    with pytest.raises(Refused, match="differs"):
        unpack(io.BytesIO(pack(canonical(manifest("c", FIRST)), {"fake.cfg": data})))


def test_refuses_a_release_digest_that_is_not_the_files():
    head = {**manifest("c", FIRST), "release": "1" * 64}
    with pytest.raises(Refused, match="differs"):
        unpack(io.BytesIO(pack(canonical(head), {"fake.cfg": FIRST})))


@pytest.mark.parametrize("mode", ["0644", "4755", "", None, 416, [], {}, ["0640"]])
def test_refuses_a_file_mode_that_others_could_use(mode):
    head = json.loads(canonical(manifest("c", FIRST)))
    head["files"]["fake.cfg"]["mode"] = mode
    with pytest.raises(Refused, match="mode"):
        unpack(io.BytesIO(pack(canonical(head), {"fake.cfg": FIRST})))


@pytest.mark.parametrize("head", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"files":[1]}'])
def test_refuses_a_manifest_that_is_none(head):
    with pytest.raises(Refused, match="manifest"):
        unpack(io.BytesIO(pack(head, {"fake.cfg": FIRST})))


def test_refuses_an_archive_that_is_cut_anywhere():
    whole = packed("c", FIRST)
    for size in range(0, len(whole) - 1024, 64):
        with pytest.raises(Refused):
            unpack(io.BytesIO(whole[:size]))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_flipped_byte_is_refused_or_changes_nothing(data):
    whole = bytearray(packed("c", FIRST))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        release = unpack(io.BytesIO(bytes(whole)))
    except Refused:
        return
    assert release.files == {"fake.cfg": FIRST}


def test_refuses_an_archive_that_is_too_large(monkeypatch):
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE_BYTES", 2000)
    with pytest.raises(Refused, match="too large"):
        unpack(io.BytesIO(packed("c", FIRST)))


def test_refuses_too_many_files(monkeypatch):
    monkeypatch.setattr(archive, "MOST_FILES", 3)
    files = {f"f{number}": b"" for number in range(5)}
    with pytest.raises(Refused, match="too many"):
        unpack(io.BytesIO(pack(canonical(manifest_of(files)), files)))


def test_refuses_a_name_that_is_there_twice():
    one = pack(b"{}", {"a": b"1"})
    body = one[512 + 512 : -1024]
    with pytest.raises(Refused, match="twice"):
        unpack(io.BytesIO(one[:-1024] + body + b"\0" * 1024))


APPROVED = {
    ".change/manifest.json": b"{}\n",
    ".change/approvals/bob@example.com.json": b"{}\n",
    ".change/approvals/bob@example.com.json.sig": b"signed\n",
}


def test_what_was_approved_travels_beside_the_files_and_not_among_them():
    release = unpack(io.BytesIO(packed("c", FIRST, APPROVED)))
    assert release.approved == APPROVED and list(release.files) == ["fake.cfg"]
    assert archive.members(archive.tar(APPROVED)) == APPROVED


def test_without_approvals_an_archive_is_what_it_always_was():
    assert packed("c", FIRST, {}) == packed("c", FIRST)
    assert unpack(io.BytesIO(packed("c", FIRST))).approved == {}


@pytest.mark.parametrize(
    "name",
    [".change/x", ".change/../x", ".change/approvals/../x.json", ".change/approvals/.x.json",
     ".change/approvals/a/b.json", ".change/approvals/-x.json", ".change", ".changes/a.json"],
)  # fmt: skip
def test_refuses_any_other_name_beside_the_files(name):
    with pytest.raises(Refused, match="not allowed"):
        unpack(io.BytesIO(packed("c", FIRST, {name: b""})))


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        (".change/manifest.json", "LARGEST_CHANGE_BYTES"),
        (".change/approvals/b.json", "LARGEST_APPROVAL_BYTES"),
        (".change/approvals/b.json.sig", "LARGEST_APPROVAL_BYTES"),
    ],
)
def test_refuses_what_is_larger_than_any_approval(name, limit):
    data = b" " * (getattr(archive, limit) + 1)
    with pytest.raises(Refused, match="too large"):
        unpack(io.BytesIO(packed("c", FIRST, {name: data})))


def test_refuses_a_manifest_that_is_larger_than_any():
    head = canonical(manifest("c", FIRST)) + b" " * archive.LARGEST_MANIFEST_BYTES
    with pytest.raises(Refused, match="too large"):
        unpack(io.BytesIO(pack(head, {"fake.cfg": FIRST})))
