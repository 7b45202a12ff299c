"""What a machine is given before it boots."""

import io
import tarfile

import pytest
from evenkeel_proof.lab import guests, keys

WEB = {f"web{n}": f"10.64.0.{100 + n}" for n in range(1, 6)}


@pytest.fixture(scope="module")
def balancer(tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    keys.make(state, ["lb1"])
    with tarfile.open(fileobj=io.BytesIO(guests.balancer(state, "lb1", WEB))) as tar:
        return {
            member.name: (member, tar.extractfile(member).read() if member.isfile() else b"")
            for member in tar
        }


def test_the_story_begins_with_three_servers_in_a_file_made_by_hand(balancer):
    config = balancer["etc/haproxy/haproxy.cfg"][1].decode()
    words = [line.split() for line in config.splitlines()]
    assert [w[1] for w in words if w[:1] == ["server"]] == ["web1", "web2", "web3"]
    assert "balance roundrobin" in config


def test_a_host_gets_its_private_key_unreadable_for_others(balancer):
    member, content = balancer["etc/ssh/ssh_host_ed25519_key"]
    assert member.mode == 0o600
    assert member.uid == 0
    assert content.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")


@pytest.mark.parametrize(("user", "owner"), [("evenkeel", 1000), ("admin", 1001)])
def test_each_user_may_log_in_with_the_own_key_alone(balancer, user, owner):
    member, content = balancer[f"home/{user}/.ssh/authorized_keys"]
    assert (member.uid, member.mode) == (owner, 0o600)
    assert content.decode().splitlines()[0].endswith(f" {user}")
    assert len(content.splitlines()) == 1


def test_the_same_machine_is_described_by_the_same_bytes():
    assert guests.web_machine(WEB) == guests.web_machine(WEB)


def test_each_web_server_has_an_address_of_its_own():
    with tarfile.open(fileobj=io.BytesIO(guests.web_machine(WEB))) as tar:
        for name, address in WEB.items():
            config = tar.extractfile(f"etc/evenkeel-web/{name}.cfg").read().decode()
            assert f"bind {address}:80" in config
            assert f"hdr X-Served-By {name} " in config
