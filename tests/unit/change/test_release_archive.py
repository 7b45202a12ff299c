"""What a host is sent: its release, and what people approved, when they did."""

import io

from unit.change.build import Sample

from evenkeel.change.release_archive import release_archive
from evenkeel.host.state.archive import CHANGE_MANIFEST, approval_name, unpack


def sent(sample: Sample, host: str = "lb1"):
    return unpack(io.BytesIO(release_archive(sample.path, host))).approved


def test_an_unapproved_change_sends_its_release_alone(tmp_path):
    assert sent(Sample(tmp_path).rendered().rehearsed()) == {}


def test_approvals_go_along_with_the_manifest_that_they_bind(tmp_path):
    sample = Sample(tmp_path).rendered().rehearsed()
    folder = sample.path / "approvals"
    folder.mkdir()
    for name in ("bob.json", "bob.json.sig", "unsigned.json", ".hidden.json", ".hidden.json.sig"):
        (folder / name).write_bytes(name.encode())
    assert sent(sample) == {
        CHANGE_MANIFEST: sample.folder.manifest_json.read_bytes(),
        approval_name("bob"): b"bob.json",
        f"{approval_name('bob')}.sig": b"bob.json.sig",
    }
    assert release_archive(sample.path, "lb1") == release_archive(sample.path, "lb1")
