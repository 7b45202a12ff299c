import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVICE_COMMANDS = ("deb-systemd-helper", "deb-systemd-invoke", "invoke-rc.d", "update-rc.d")
DPKG_QUERY = """\
case "$*" in
    *db:Status*) [ -e "$STATE/installed" ] && printf installed ;;
    *) shift 3; for name; do echo "$name 1:2.3-4+deb12u5"; done ;;
esac
"""
# As apt does: the packages' scripts run with the path that it is given for dpkg.
APT_GET = """\
echo "noise of apt: $*"
for argument; do
    case "$argument" in
        DPkg::Path=*)
            for name in {commands}; do
                (PATH="${{argument#*=}}"; command -v "$name") >>"$STATE/found"
            done
            touch "$STATE/installed" ;;
    esac
done
""".format(commands=" ".join(SERVICE_COMMANDS))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the real scripts/setup, in which nothing is installed."""
    root = tmp_path / "checkout"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup", root / "scripts")
    stub(root / "scripts" / "lab", "echo localhost/image:of-$2")
    (root / "pyproject.toml").touch()
    (root / "proof").mkdir()
    (root / "proof" / "pyproject.toml").touch()
    (root / "requirements.in").write_text("# a comment\nansible-core>=2.19\n\npyyaml\n")
    (root / "requirements.txt").write_text(
        "ansible-core==2.19.14 \\\n    --hash=sha256:00\ncffi==2.1.1 \\\npyyaml==6.0.3 \\\n"
    )
    for stamp in ("locked", "package"):
        (root / ".venv").mkdir(exist_ok=True)
        (root / ".venv" / stamp).write_text("digest\n")
    commands = tmp_path / "commands"
    stub(commands / "id", "echo 0")
    stub(commands / "sha256sum", "cat >/dev/null; echo digest")
    stub(commands / "dpkg", "true")
    stub(commands / "dpkg-query", DPKG_QUERY)
    stub(commands / "apt-get", APT_GET)
    return root


def stub(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def start(checkout: Path, *arguments: str) -> "subprocess.Popen[str]":
    commands = checkout.parent / "commands"
    return subprocess.Popen(
        # A shell that runs the tests in the background has told them to ignore this signal.
        ["env", "--default-signal=INT", checkout / "scripts" / "setup", *arguments],
        env={
            "PATH": f"{commands}:{os.environ['PATH']}",
            "STATE": str(checkout.parent),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_no_package_can_start_or_enable_a_service(checkout: Path) -> None:
    start(checkout, "--only", "packages").communicate(timeout=60)
    found = [Path(line) for line in (checkout.parent / "found").read_text().splitlines()]
    assert [path.name for path in found] == list(SERVICE_COMMANDS)
    # What a killed run leaves is in the checkout, where no other program looks for commands.
    assert {path.parent for path in found} == {checkout / ".lab" / "without-services"}
    assert all(subprocess.run([path, "haproxy", "start"]).returncode == 0 for path in found)


def test_prints_the_versions_and_not_what_apt_says(checkout: Path) -> None:
    setup = start(checkout)
    out, err = setup.communicate(timeout=60)
    assert (setup.returncode, err) == (0, "")
    for wanted in ("podman 1:2.3-4+deb12u5", "ansible-core 2.19.14", "pyyaml 6.0.3", "Python 3."):
        assert wanted in out
    assert "image for host: localhost/image:of-host" in out
    assert "noise" not in out
    assert "cffi" not in out
    folded = [line for line in out.splitlines() if line.startswith("   ")]
    assert max(map(len, folded)) <= 80
    assert "noise of apt" in (checkout / ".lab" / "setup.log").read_text()


def test_installs_what_the_tests_need_only_when_that_is_wanted(checkout: Path) -> None:
    out, _ = start(checkout, "--only", "packages").communicate(timeout=60)
    assert "shellcheck" not in out
    out, _ = start(checkout, "--only", "packages", "--tests").communicate(timeout=60)
    assert "shellcheck 1:2.3" in out


def test_prints_the_end_of_the_log_when_apt_fails(checkout: Path) -> None:
    failing = 'seq 1 60 | sed "s/^/line /"; echo "E: no such package"; exit 100'
    stub(checkout.parent / "commands" / "apt-get", failing)
    setup = start(checkout, "--only", "packages")
    _, err = setup.communicate(timeout=60)
    assert setup.returncode == 10
    assert "E: no such package\n" in err
    assert "line 1\n" not in err
    assert err.splitlines()[-1] == (
        "setup: apt-get update failed; all of its output: .lab/setup.log"
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_nothing_goes_on_after_it_was_stopped(checkout: Path, number: int, code: int) -> None:
    (checkout.parent / "installed").touch()
    os.mkfifo(checkout.parent / "building")
    stub(checkout / "scripts" / "lab", 'sleep 600 & echo "$!" >"$STATE/building"; wait')
    setup = start(checkout)
    with (checkout.parent / "building").open() as building:
        assert building.read().strip().isdigit()
    setup.send_signal(number)
    # The end of stderr comes when the last process that holds it has ended.
    setup.communicate(timeout=60)
    assert setup.returncode == code
