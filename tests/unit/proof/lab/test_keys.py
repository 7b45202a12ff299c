"""The lab's keys: nobody is trusted on first use, and signers may sign for nothing else."""

from evenkeel_proof.lab import keys


def test_keys_that_are_there_are_kept(tmp_path):
    keys.make(tmp_path, ["lb1"])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    keys.make(tmp_path, ["lb1", "lb2"])
    assert all(path.read_bytes() == content for path, content in before.items())
    assert (tmp_path / "hosts/lb2").exists()


def test_a_key_whose_making_was_cut_short_is_made_again(tmp_path):
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts/lb1").write_text("half")
    assert keys.key_pair(tmp_path / "hosts/lb1", "lb1").startswith("ssh-ed25519 ")
    assert (tmp_path / "hosts/lb1").read_text() != "half"


def test_private_keys_are_for_their_owner_alone(tmp_path):
    keys.make(tmp_path, ["lb1"])
    private = [p for p in tmp_path.glob("*/*") if p.suffix != ".pub"]
    assert len(private) == 5
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)


def test_each_host_is_known_by_its_own_key(tmp_path):
    keys.make(tmp_path, ["lb1", "lb2"])
    keys.write_known_hosts(tmp_path, {"lb1": "10.64.0.11", "lb2": "10.64.0.12"})
    lines = [line.split() for line in (tmp_path / "known_hosts").read_text().splitlines()]
    assert [line[0] for line in lines] == ["10.64.0.11", "10.64.0.12"]
    assert lines[0][2] != lines[1][2]
    assert lines[0][2] in (tmp_path / "hosts/lb1.pub").read_text()


def test_two_people_may_sign_and_only_for_this_pipeline(tmp_path):
    keys.make(tmp_path, [])
    lines = (tmp_path / "allowed_signers").read_text().splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["author@lab", 'namespaces="evenkeel"'],
        ["approver@lab", 'namespaces="evenkeel"'],
    ]
