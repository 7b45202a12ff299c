import os

import pytest
from unit.change.build import BASE, CONFIG, INTENT, Sample

from evenkeel import records
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EXIT_REFUSED, Problems, Refused
from evenkeel.host.state.archive import release_digest
from evenkeel.records import canonical_json, sha256_of


@pytest.fixture
def change(tmp_path):
    return Sample(tmp_path).rendered()


@pytest.mark.parametrize("name", ["Upper", "-dash", "a b", "ü", "x" * 65, ".hidden"])
def test_refuses_a_name_that_is_no_change_id(tmp_path, name):
    with pytest.raises(Refused, match="usable name"):
        ChangeFolder(tmp_path / name)


def test_the_digest_is_the_sha256_of_the_manifest(change):
    wanted = sha256_of((change.path / "manifest.json").read_bytes())
    assert change.folder.digest() == wanted
    assert change.folder.verify_bundle() == wanted


def test_names_an_altered_file_with_both_digests(change):
    altered = CONFIG + b"\n"
    (change.path / "bundle/lb2/haproxy.cfg").write_bytes(altered)
    with pytest.raises(Problems) as caught:
        change.folder.verify_bundle()
    (problem,) = caught.value.problems
    assert problem.path == "bundle/lb2/haproxy.cfg"
    assert problem.wanted == f"sha256 {sha256_of(CONFIG)}"
    assert problem.got == f"sha256 {sha256_of(altered)}"
    assert caught.value.exit_code == EXIT_REFUSED
    assert "playbooks/render.yml" in caught.value.next_step


def test_names_a_missing_and_a_surplus_file_at_once(change):
    (change.path / "bundle/lb1/haproxy.cfg").unlink()
    (change.path / "bundle/lb1/other.cfg").write_bytes(b"x")
    with pytest.raises(Problems) as caught:
        change.folder.verify_bundle()
    by_path = {problem.path: problem for problem in caught.value.problems}
    assert by_path["bundle/lb1/haproxy.cfg"].got == "no file"
    assert by_path["bundle/lb1/other.cfg"].wanted == "no such file"


def test_refuses_a_symlink_even_to_the_right_bytes(change):
    path = change.path / "bundle/lb1/haproxy.cfg"
    path.unlink()
    path.symlink_to(change.path / "bundle/lb2/haproxy.cfg")
    with pytest.raises(Problems, match=r"bundle/lb1/haproxy\.cfg"):
        change.folder.verify_bundle()


def test_refuses_a_linked_folder_and_does_not_wait_for_a_pipe(change, tmp_path):
    (change.path / "bundle/lb9").symlink_to(tmp_path)
    os.mkfifo(change.path / "bundle/lb1/pipe")
    with pytest.raises(Problems) as caught:
        change.folder.verify_bundle()
    assert [problem.path for problem in caught.value.problems] == ["bundle/lb1/pipe", "bundle/lb9"]


def problems_of(change):
    with pytest.raises(Problems) as caught:
        change.folder.verify_bundle()
    return {problem.path: problem for problem in caught.value.problems}


def test_names_an_intent_whose_guardrails_were_altered(change):
    looser = {"guardrails": {"largest_shift_points": 100}}
    change.folder.write_json("intent/lb2.json", looser)
    (problem,) = problems_of(change).values()
    assert problem.path == "intent/lb2.json"
    assert problem.wanted == f"sha256 {sha256_of(canonical_json(INTENT))}"
    assert problem.got == f"sha256 {sha256_of(canonical_json(looser))}"


def test_names_a_missing_a_surplus_and_a_linked_intent(change):
    (change.path / "intent/lb1.json").unlink()
    (change.path / "intent/lb2.json").unlink()
    (change.path / "intent/lb2.json").symlink_to(change.path / "intent/lb3.json")
    change.folder.write_json("intent/lb9.json", INTENT)
    found = problems_of(change)
    assert sorted(found) == [f"intent/lb{n}.json" for n in (1, 2, 9)]
    assert found["intent/lb1.json"].got == "no file"
    assert "not a readable file" in found["intent/lb2.json"].got


def test_names_a_base_that_is_not_what_was_live(change):
    (change.path / "base/lb2/haproxy.cfg").write_bytes(CONFIG)
    (problem,) = problems_of(change).values()
    assert problem.path == "base/lb2"
    assert problem.wanted == f"release {release_digest({'haproxy.cfg': BASE})}"
    assert problem.got == f"release {release_digest({'haproxy.cfg': CONFIG})}"


def test_names_a_missing_a_surplus_and_a_linked_base(change):
    (change.path / "base/lb1/haproxy.cfg").unlink()
    (change.path / "base/lb2/haproxy.cfg").unlink()
    (change.path / "base/lb2/haproxy.cfg").symlink_to(change.path / "base/lb3/haproxy.cfg")
    (change.path / "base/lb9").mkdir()
    (change.path / "base/lb9/haproxy.cfg").write_bytes(BASE)
    found = problems_of(change)
    assert sorted(found) == ["base/lb1", "base/lb2", "base/lb9"]
    assert found["base/lb1"].got == "no file"
    assert "not a readable file" in found["base/lb2"].got
    assert found["base/lb9"].wanted == "no such file"


def test_a_change_that_is_not_there_names_render(tmp_path):
    with pytest.raises(Refused, match=r"There is no change c1[\s\S]*render.yml -e change=c1"):
        ChangeFolder(tmp_path / "c1").digest()


def test_refuses_another_changes_manifest(change):
    with pytest.raises(Refused, match="manifest is of another change"):
        change.copied_to("other").folder.digest()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"author":"a","hosts":{"lb1":{}}}', "\0"])
def test_refuses_a_damaged_manifest_without_a_traceback(change, text):
    (change.path / "manifest.json").write_text(text)
    with pytest.raises(Refused, match="damaged"):
        change.folder.verify_bundle()


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: entry.pop("release"),
        lambda entry: entry.update(release="latest"),
        lambda entry: entry.update(release="A" * 64),
        lambda entry: entry.update(release=7),
        lambda entry: entry.pop("intent"),
        lambda entry: entry.update(base="../.."),
        lambda entry: entry["files"].update({"../../evil": {"sha256": "0" * 64}}),
        lambda entry: entry["files"]["haproxy.cfg"].update(sha256=None),
    ],
)
def test_refuses_a_manifest_with_an_entry_that_is_none(change, edit):
    manifest = change.folder.manifest()
    edit(manifest["hosts"]["lb1"])
    change.folder.write_json("manifest.json", manifest)
    with pytest.raises(Refused, match="damaged"):
        change.folder.digest()


@pytest.mark.parametrize("host", ["", "..", "../../tmp", "a/b", "a\nb"])
def test_refuses_a_manifest_with_a_host_that_could_be_a_path(change, host):
    manifest = change.folder.manifest()
    manifest["hosts"][host] = manifest["hosts"]["lb1"]
    change.folder.write_json("manifest.json", manifest)
    with pytest.raises(Refused, match="damaged"):
        change.folder.digest()


def test_what_is_written_is_canonical_and_private(change):
    change.folder.write_json("x/y.json", {"b": 1, "a": 2})
    path = change.path / "x/y.json"
    assert path.read_bytes() == b'{"a":2,"b":1}\n'
    assert path.stat().st_mode & 0o077 == 0


def test_the_digest_is_that_of_the_manifest_that_was_compared(change, monkeypatch):
    digest = change.folder.digest()

    def swapped(path, *more, read=records.read_file):
        data = read(path, *more)
        path.write_bytes(data.replace(b"alice", b"mallory"))
        return data

    monkeypatch.setattr(records, "read_file", swapped)
    assert change.folder.verify_bundle() == digest
