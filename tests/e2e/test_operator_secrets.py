"""A secret in a configuration is in no output, no record and no report of any verb."""

import base64

import pytest
from e2e.helpers import APPROVER, LEASE_SECONDS

SECRETS = ("corr3ct-horse", "batt3ry-staple", "cGVvcGxlOnMzY3IzdA==")
JOURNAL = "journalctl --no-pager --all --output=export"
BY_NATURE = ("intent", "bundle", "base")


def with_secrets(value):
    value["listeners"][0]["extra"] = [
        "stats enable",
        "stats uri /stats",
        f"stats auth operator:{SECRETS[0]}",
    ]
    value["pools"][0]["extra"] = [
        f"http-request set-header X-Password {SECRETS[1]}",
        f'http-request set-header Authorization "Basic {SECRETS[2]}"',
    ]


def without_secrets(value):
    value["timeouts"] = {"server_seconds": 45}


@pytest.fixture(scope="module")
def told(road):
    """Everything that every verb says with -vvv and --diff, on the way to a secret and away."""
    road.forget()
    said = []

    def tell(verb, *words, **extra):
        one = road.play(verb, "-vvv", "--diff", *words, **extra)
        assert one.code == 0, one.text
        said.append(one.text)

    key = str(road.fleet.person("approver"))
    with road.traffic():
        for change, edit in (("secret", with_secrets), ("no-secret", without_secrets)):
            tell("render", *road.intent_words(change, road.intent(edit)), change=change)
            road.rehearsed(road.folder(change))
            tell("approve", change=change, approver=APPROVER, approver_key=key)
            tell("deploy", change=change)
            tell("status")
    tell("snapshot", snapshot="friday")
    tell("rollback")
    return "\n".join(said)


def forms(road):
    """Give each secret as it may show: plain, and within whole files in base64."""
    bundles = (road.folder("secret").bundle).rglob("haproxy.cfg")
    return [*SECRETS, *(base64.b64encode(path.read_bytes()).decode() for path in bundles)]


def test_no_verb_says_a_secret_even_with_vvv_and_diff(road, told):
    assert "stats auth [redacted]" in told
    assert [form[:40] for form in forms(road) if form in told] == []


def test_no_record_and_no_report_holds_a_secret(road, told):
    for change in ("secret", "no-secret"):
        folder = road.folder(change)
        for path in folder.path.rglob("*"):
            if path.is_file() and path.relative_to(folder.path).parts[0] not in BY_NATURE:
                text = path.read_text()
                assert [form[:40] for form in forms(road) if form in text] == [], path


def test_what_the_hosts_said_is_kept_and_holds_no_secret(road, told):
    for change in ("secret", "no-secret"):
        kept = sorted((road.folder(change).path / "hosts").rglob("*.json"))
        assert {path.stem for path in kept} >= {"prepare", "activate", "confirm"}
        assert {path.parent.name for path in kept} == set(road.hosts)
        for path in kept:
            assert [form[:40] for form in forms(road) if form in path.read_text()] == [], path


def test_no_journal_of_a_host_holds_a_secret_and_sudo_logs_no_more_than_names(road, told):
    for host, text in road.each(lambda host: road.shell(host, JOURNAL)).items():
        release = road.folder("secret").manifest()["hosts"][host]["release"]
        ran = [row for row in text.splitlines() if "COMMAND=/usr/local/sbin/evenkeel-host" in row]
        assert [row for row in ran if f"prepare --change secret --release {release}" in row], host
        assert [row for row in ran if "activate --change secret" in row], host
        assert [form[:40] for form in forms(road) if form in text] == [], host


def test_no_log_file_of_a_host_holds_a_secret(road, told):
    for secret in SECRETS:
        found = f"grep -rlF -e '{secret}' /var/log /run/log /tmp /run/systemd 2>/dev/null"
        assert set(road.each(lambda host, look=found: road.shell(host, look)).values()) == {""}


def test_what_holds_a_secret_by_nature_is_for_its_owner_alone(road, told):
    folder = road.folder("secret")
    paths = [path for name in ("intent", "bundle") for path in (folder.path / name).rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}
    assert any(SECRETS[0] in path.read_text() for path in paths if path.is_file())
    on_host = road.shell("lb1", "find /var/lib/evenkeel/haproxy -type f -perm /007")
    assert on_host == ""


def test_a_line_that_the_balancer_refuses_is_named_without_its_secret(road, told):
    def wrong(value):
        with_secrets(value)
        value["listeners"][0]["extra"].append(f"stats auht operator:{SECRETS[0]}")

    road.ready("wrong", wrong)
    said = road.play("deploy", "-vvv", change="wrong", canary_lease_seconds=str(LEASE_SECONDS))
    assert said.code == 10, said.text
    assert "unknown stats parameter 'auht'" in said
    assert [secret for secret in SECRETS if secret in said] == []
    for path in (road.folder("wrong").path / "hosts").rglob("*.json"):
        assert [secret for secret in SECRETS if secret in path.read_text()] == []
