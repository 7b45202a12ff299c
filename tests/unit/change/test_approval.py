import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from unit.change.build import CONFIG, Sample, make_key, public_key

from evenkeel.change import approval, signature
from evenkeel.errors import EXIT_REFUSED, Refused
from evenkeel.records import Record, canonical_json, read_record, sha256_of, write_record


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("alice", "bob", "carol")}


@pytest.fixture
def signers(tmp_path, keys):
    path = tmp_path / "allowed_signers"
    lines = [f'{name} namespaces="evenkeel" {public_key(key)}' for name, key in keys.items()]
    path.write_text("# who may sign\n\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def change(tmp_path):
    return Sample(tmp_path / "changes").rendered().rehearsed()


@pytest.fixture
def approved(change, keys, signers):
    approval.approve(change.folder, "bob", keys["bob"], signers)
    return change


def refused(change, signers, **more) -> Refused:
    with pytest.raises(Refused) as caught:
        approval.verify(change.folder, signers, **more)
    assert caught.value.exit_code == EXIT_REFUSED
    assert caught.value.next_step
    return caught.value


def edit(path, change_body):
    """Edit an approval so that it is still a canonical record, and drop nothing else."""
    value = json.loads(path.read_text())
    change_body(value)
    path.write_bytes(canonical_json(value))


def test_a_second_persons_signature_is_valid(approved, signers):
    (found,) = approval.verify(approved.folder, signers)
    assert found.person == "bob"
    assert found.fingerprint.startswith("SHA256:")


def test_ssh_keygen_itself_agrees_with_the_signature_on_disk(approved, signers):
    document = approved.path / "approvals/bob.json"
    words = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "bob", "-n", "evenkeel"]
    words += ["-s", f"{document}.sig"]
    with document.open("rb") as stream:
        done = subprocess.run(words, stdin=stream, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    (found,) = approval.verify(approved.folder, signers)
    assert found.fingerprint in done.stdout


def test_the_document_binds_digest_rehearsal_bases_and_everything_shown(approved):
    value = json.loads((approved.path / "approvals/bob.json").read_text())
    assert value["digest"] == approved.folder.digest()
    assert value["previous"] == sha256_of((approved.path / "staging.json").read_bytes())
    assert value["body"]["bases"] == approved.folder.bases()
    assert value["body"]["author"] == "alice"
    shown = value["body"]["shown"]
    for name in ("forecast.json", "diff.txt", "change.json"):
        assert shown[name] == sha256_of((approved.path / name).read_bytes())


def test_without_an_approval_the_next_step_is_to_approve(change, signers):
    error = refused(change, signers)
    assert f"scripts/approve {change.change_id}" in error.next_step


def test_approving_twice_changes_nothing(approved, keys, signers):
    before = (approved.path / "approvals/bob.json").read_bytes()
    again = approval.approve(approved.folder, "bob", keys["bob"], signers)
    assert not again.changed
    assert (approved.path / "approvals/bob.json").read_bytes() == before


@pytest.mark.parametrize("name", ["alice", "Alice", "ALICE"])
def test_the_author_cannot_approve(change, keys, signers, name):
    with pytest.raises(Refused, match="author of a change cannot approve"):
        approval.approve(change.folder, name, keys["alice"], signers)
    assert not change.folder.approvals.exists()


@pytest.mark.parametrize(
    "author",
    ["x", "Alice", "\u0430lice", "alice ", "alice@home", "*", "al*", "alice,bob", "", "alice\n"],
)
def test_an_author_who_is_not_listed_by_name_is_refused(tmp_path, keys, signers, author):
    change = Sample(tmp_path / "made-up", author=author).rendered().rehearsed()
    with pytest.raises(Refused, match="not in the allowed_signers file") as caught:
        approval.approve(change.folder, "alice", keys["alice"], signers)
    assert f"-e change={change.change_id} -e change_author=" in caught.value.next_step
    assert not change.folder.approvals.exists()


def test_an_author_whom_only_a_pattern_lists_is_refused(tmp_path, keys, signers):
    with signers.open("a") as stream:
        stream.write(f"*-bot {public_key(keys['carol'])}\n")
    change = Sample(tmp_path / "made-up", author="x-bot").rendered().rehearsed()
    with pytest.raises(Refused, match="not in the allowed_signers file"):
        approval.approve(change.folder, "alice", keys["alice"], signers)


def test_no_approval_counts_once_the_author_left_the_list(approved, keys, signers):
    signers.write_text(f"bob {public_key(keys['bob'])}\n")
    assert "not in the allowed_signers file" in refused(approved, signers).what


def test_the_authors_key_under_another_name_cannot_approve(change, keys, signers):
    with signers.open("a") as stream:
        stream.write(f"alice2 {public_key(keys['alice'])}\n")
    with pytest.raises(Refused, match="key of alice2 is also the key of alice"):
        approval.approve(change.folder, "alice2", keys["alice"], signers)
    assert not list(change.path.glob("approvals/*"))


def test_a_key_that_a_pattern_gives_to_everybody_cannot_approve(change, keys, signers):
    with signers.open("a") as stream:
        stream.write(f"*,!nobody {public_key(keys['bob'])}\n")
    with pytest.raises(Refused, match="also the key of alice"):
        approval.approve(change.folder, "bob", keys["bob"], signers)


def test_another_persons_key_does_not_sign_for_me(change, keys, signers):
    with pytest.raises(Refused, match="not a valid one of bob"):
        approval.approve(change.folder, "bob", keys["carol"], signers)


def test_a_stranger_is_refused(change, keys, signers, tmp_path):
    with pytest.raises(Refused, match="not in the allowed_signers file"):
        approval.approve(change.folder, "dave", make_key(tmp_path / "dave"), signers)


def test_a_signature_in_another_namespace_is_refused(approved, keys, signers):
    document = approved.path / "approvals/bob.json"
    sig = document.with_name("bob.json.sig")
    sig.unlink()
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", keys["bob"], "-n", "file", document]
    subprocess.run(words, check=True, capture_output=True, timeout=20)
    lines = [f"{name} {public_key(keys[name])}\n" for name in ("alice", "bob")]
    signers.write_text("".join(lines))
    assert "namespace" in refused(approved, signers).got


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", "no_data", None])
def test_what_did_not_pass_cannot_be_approved(change, keys, signers, verdict):
    change.rehearsed(verdict)
    with pytest.raises(Refused, match="rehearsal did not pass"):
        approval.approve(change.folder, "bob", keys["bob"], signers)


def test_an_altered_bundle_cannot_be_approved(change, keys, signers):
    (change.path / "bundle/lb1/haproxy.cfg").write_bytes(b"listen x")
    with pytest.raises(Refused, match=r"bundle/lb1/haproxy\.cfg"):
        approval.approve(change.folder, "bob", keys["bob"], signers)


def test_an_approval_is_void_once_the_bundle_was_altered(approved, signers):
    (approved.path / "bundle/lb1/haproxy.cfg").write_bytes(b"listen x")
    assert "bundle/lb1/haproxy.cfg" in str(refused(approved, signers))


def test_an_approval_is_void_for_another_digest(approved, signers):
    approved.rendered(config=CONFIG + b"# one more\n").rehearsed()
    assert "its digest differs" in refused(approved, signers).what


def test_an_approval_is_void_for_another_rehearsal(approved, signers):
    approved.rehearsed(bundles=["again"])
    assert "its rehearsal differs" in refused(approved, signers).what


@pytest.mark.parametrize("name", ["forecast.json", "diff.txt", "change.json"])
def test_an_approval_is_void_once_what_was_shown_moved(approved, signers, name):
    path = approved.path / name
    path.write_bytes(path.read_bytes().replace(b"app", b"api").replace(b"Two", b"Six"))
    assert f"its shown {name} differs" in refused(approved, signers).what


def test_an_approval_copied_to_another_change_is_void(approved, signers):
    other = Sample(approved.changes, "other").rendered().rehearsed()
    other.folder.approvals.mkdir()
    for path in approved.folder.approvals.iterdir():
        (other.folder.approvals / path.name).write_bytes(path.read_bytes())
    assert "its change_id differs" in refused(other, signers).what


def test_an_approval_renamed_to_another_person_is_void(approved, signers):
    for path in list(approved.folder.approvals.iterdir()):
        path.rename(path.with_name(path.name.replace("bob", "carol")))
    assert "its approver differs" in refused(approved, signers).what


def test_an_edited_approval_is_void(approved, signers):
    path = approved.path / "approvals/bob.json"
    edit(path, lambda value: value["body"].update(expires="2999-01-01T00:00:00Z"))
    assert "not a valid one of bob" in refused(approved, signers).what


def test_an_approval_without_a_signature_is_void(approved, signers):
    (approved.path / "approvals/bob.json.sig").unlink()
    assert "no signature" in refused(approved, signers).what


@pytest.mark.parametrize("text", [b"", b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END", b"\xff"])
def test_a_damaged_signature_is_refused_without_a_traceback(approved, signers, text):
    (approved.path / "approvals/bob.json.sig").write_bytes(text)
    assert "signature is damaged" in refused(approved, signers).what


def test_an_approval_ends_and_can_be_given_again(approved, keys, signers):
    later = datetime.now(UTC) + timedelta(hours=approval.DEFAULT_VALID_HOURS + 1)
    assert "has expired" in refused(approved, signers, now=later).what
    again = approval.approve(approved.folder, "bob", keys["bob"], signers, now=later)
    assert again.changed
    assert approval.verify(approved.folder, signers, now=later)


@pytest.mark.parametrize("hours", [0, -1, 721, float("nan"), float("inf")])
def test_an_approval_cannot_be_valid_for_ever(change, keys, signers, hours):
    with pytest.raises(Refused, match="valid for that long"):
        approval.approve(change.folder, "bob", keys["bob"], signers, valid_hours=hours)


def test_an_approval_signed_for_longer_than_any_may_be_does_not_count(approved, keys, signers):
    path = approved.path / "approvals/bob.json"
    hours = approval.LONGEST_VALID_HOURS + 1
    expires = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    edit(path, lambda value: value["body"].update(expires=expires))
    path.with_name("bob.json.sig").write_bytes(signature.sign(path.read_bytes(), keys["bob"]))
    assert "valid for too long" in refused(approved, signers).what


def test_the_longest_approval_counts(change, keys, signers):
    hours = approval.LONGEST_VALID_HOURS
    approval.approve(change.folder, "bob", keys["bob"], signers, valid_hours=hours)
    assert approval.verify(change.folder, signers)


def test_a_revoked_key_no_longer_counts(approved, keys, signers, tmp_path):
    revoked = tmp_path / "revoked"
    revoked.write_text(public_key(keys["bob"]) + "\n")
    assert "not a valid one of bob" in refused(approved, signers, revoked=revoked).what


def test_a_key_that_left_the_list_no_longer_counts(approved, keys, signers):
    lines = [f"{name} {public_key(keys[name])}\n" for name in ("alice", "carol")]
    signers.write_text("".join(lines))
    assert "not a valid one of bob" in refused(approved, signers).what


def test_two_approvals_need_two_persons(approved, keys, signers):
    error = refused(approved, signers, required=2)
    assert "1 of 2 approvals" in error.what
    approval.approve(approved.folder, "carol", keys["carol"], signers)
    found = approval.verify(approved.folder, signers, required=2)
    assert {each.person for each in found} == {"bob", "carol"}


def test_two_approvals_by_one_key_are_one(approved, keys, signers):
    with signers.open("a") as stream:
        stream.write(f"bobby {public_key(keys['bob'])}\n")
    approval.approve(approved.folder, "bobby", keys["bob"], signers)
    assert "key of bobby is also the key of bob" in str(refused(approved, signers, required=2))


def test_one_void_approval_does_not_spoil_a_valid_one(approved, keys, signers):
    approval.approve(approved.folder, "carol", keys["carol"], signers)
    (approved.path / "approvals/carol.json.sig").unlink()
    assert [each.person for each in approval.verify(approved.folder, signers)] == ["bob"]
    assert "carol.json: wanted" in str(refused(approved, signers, required=2))


def test_an_approval_by_the_author_on_disk_does_not_count(change, keys, signers):
    approval.approve(change.folder, "bob", keys["bob"], signers)
    record = read_record(change.path / "approvals/bob.json", kind="approval", next_step="")
    forged = Record(**{**vars(record), "body": {**record.body, "approver": "alice"}})
    write_record(change.path / "approvals/alice.json", forged)
    sig = signature.sign(forged.encode(), keys["alice"])
    (change.path / "approvals/alice.json.sig").write_bytes(sig)
    assert [each.person for each in approval.verify(change.folder, signers)] == ["bob"]
    assert "author of a change cannot approve" in str(refused(change, signers, required=2))


@pytest.mark.parametrize("name", ["", "../x", "-f", "a b", "a/b", "x" * 65, None])
def test_refuses_a_name_that_could_be_a_path_or_an_option(change, keys, signers, name):
    with pytest.raises(Refused, match="no usable name"):
        approval.approve(change.folder, name, keys["bob"], signers)


def test_a_missing_key_says_how_to_make_one(change, signers, tmp_path):
    with pytest.raises(Refused, match="no such SSH key") as caught:
        approval.approve(change.folder, "bob", tmp_path / "nokey", signers)
    assert "ssh-keygen" in caught.value.next_step


def test_a_file_that_is_no_key_is_refused_with_the_programs_own_words(change, signers):
    with pytest.raises(Refused, match="did not sign") as caught:
        approval.approve(change.folder, "bob", signers, signers)
    assert caught.value.got


def test_a_missing_file_of_signers_is_refused(approved, tmp_path):
    assert "allowed signers cannot be read" in refused(approved, tmp_path / "none").what


def test_a_line_of_the_signers_that_cannot_be_read_hides_nobodys_key(approved, signers):
    with signers.open("a") as stream:
        stream.write("alice garbage\n")
    error = refused(approved, signers)
    assert error.where.endswith("line 6")


def test_names_are_matched_as_openssh_does(keys, tmp_path):
    path = tmp_path / "signers"
    path.write_text(f'"al*,!alfred" valid-before="20990101" {public_key(keys["alice"])}\n')
    assert signature.keys_of("alice", path)
    assert not signature.keys_of("alfred", path)
    assert not signature.keys_of("bob", path)
