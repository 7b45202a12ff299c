"""A balancer host for the contract suite: a systemd container, and the program inside it."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel_proof.lab import enter
from jinja2 import Template

from evenkeel.balancer.dialect import load_dialect
from evenkeel.change.bundle import render_files
from evenkeel.change.printer import Printer
from evenkeel.containers import images, podman
from evenkeel.containers.names import ROOT, lab_name
from evenkeel.host.state.archive import pack, release_digest
from evenkeel.host.system.sha256 import canonical
from evenkeel.intent import normalise, parse_intent
from evenkeel.program import driver_on_host, program_bytes

PROGRAM = "/usr/local/sbin/evenkeel-host"
STORE = "/var/lib/evenkeel"
INSIDE = "/root/inside.py"
LISTEN = 8080
PORTS = (9001, 9002, 9003, 9004)
ADDED = "web4"


def kinds() -> list[str]:
    """Every balancer that there is a role for."""
    prefix = "balancer_"
    return sorted(path.name[len(prefix) :] for path in (ROOT / "roles").glob(f"{prefix}*"))


def intent(
    servers: int = 3, address: str = "127.0.0.1", port: int = LISTEN, weight: int = 100
) -> dict[str, Any]:
    """The suite's intent: one pool of `servers` web servers; the first has `weight`."""
    return {
        "listeners": [
            {
                "name": "shop",
                "mode": "http",
                "binds": [{"address": address, "port": port}],
                "default_pool": "web",
            }
        ],
        "pools": [
            {
                "name": "web",
                "algorithm": {"kind": "round_robin"},
                "check": {"kind": "none"},
                "servers": [
                    {
                        "name": f"web{number}",
                        "address": "127.0.0.1",
                        "port": PORTS[number - 1],
                        "weight": weight if number == 1 else 100,
                    }
                    for number in range(1, servers + 1)
                ],
            }
        ],
    }


@dataclass(frozen=True)
class Release:
    """Files with their digest, as a change would bring them."""

    digest: str
    files: dict[str, bytes]

    def archive(self, change: str, approved: Mapping[str, bytes] | None = None) -> bytes:
        """What `prepare` reads."""
        facts = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "mode": "0640"}
            for name, data in self.files.items()
        }
        manifest = {
            "change_id": change,
            "digest": "0" * 64,
            "release": self.digest,
            "files": facts,
        }
        return pack(canonical(manifest), self.files, approved)


def release_of(files: dict[str, bytes]) -> Release:
    """Give files their content address."""
    return Release(release_digest(files), files)


class Host:
    """One container that runs one balancer."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name = f"evenkeel-{lab_name()}-contract-{kind}"
        dialect = load_dialect(ROOT / "roles" / f"balancer_{kind}")
        self._dialect, self._printer = dialect, Printer(dialect)

    def start(self) -> None:
        """Boot a new container, with the program, the driver and web servers in it."""
        podman.remove([self.name])
        podman.call(
            [
                "run", "--detach", f"--name={self.name}", "--network=none", *podman.systemd(),
                images.image("host"),
            ]
        )  # fmt: skip
        self.wait_until_booted()
        self.write(PROGRAM, program_bytes(), "0755")
        self.write(*driver_on_host(ROOT / "roles" / f"balancer_{self.kind}"), "0644")
        self.write(INSIDE, (Path(__file__).parent / "inside.py").read_bytes(), "0644")
        self.facts = self.program("facts")[1]
        template = ROOT / "roles" / "host_switch" / "templates" / "recover.service.j2"
        unit = Template(template.read_text()).render(
            balancer_kind=self.kind, host_switch_unit=self.facts["unit"]
        )
        path = f"/etc/systemd/system/evenkeel-recover@{self.kind}.service"
        self.write(path, unit.encode(), "0644")
        serve = "\n".join(
            [
                "[Service]",
                "Type=notify",
                f"ExecStart=/usr/bin/python3 {INSIDE} serve {' '.join(map(str, PORTS))}",
                "[Install]",
                "WantedBy=multi-user.target",
            ]
        )
        self.write("/etc/systemd/system/web.service", serve.encode(), "0644")
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "enable", "--quiet", f"evenkeel-recover@{self.kind}.service")
        self.run("systemctl", "enable", "--now", "--quiet", "web.service")

    def stop(self) -> None:
        """Remove the container."""
        podman.remove([self.name])

    def reset(self, release: Release) -> None:
        """Make it a host that nobody took over, running `release` from its native paths."""
        timers = self.run("systemctl", "list-units", "--plain", "--no-legend", "evenkeel-expire-*")
        names = [line.split()[0] for line in timers.splitlines() if line.strip()]
        if names:
            self.run("systemctl", "stop", *names)
        natives = self.facts["native_paths"]
        self.run("rm", "-rf", STORE, *natives.values())
        for name, path in natives.items():
            self.write(path, release.files[name], "0644")
        self.run("systemctl", "reset-failed")
        self.run("systemctl", "restart", self.facts["unit"])

    def reboot(self) -> None:
        """Boot the container again; everything that ran is gone, the disk stays."""
        podman.call(["restart", "--time=2", self.name], timeout=60)
        self.wait_until_booted()

    def wait_until_booted(self) -> None:
        """Wait for systemd, and give the container its loopback addresses."""
        self.wait_for(self._is_booted, 60, "the boot")
        self.run("ip", "link", "set", "lo", "up")

    def _is_booted(self) -> bool:
        said = self.execute("systemctl", "is-system-running").stdout.strip()
        return said in (b"running", b"degraded")

    def execute(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command as root inside."""
        return enter.run(self.name, words, stdin=stdin, timeout=120)

    def run(self, *words: str, stdin: bytes = b"") -> str:
        """Run a command that must succeed, and give its output."""
        done = self.execute(*words, stdin=stdin)
        assert done.returncode == 0, (words, done.stderr[-500:])
        return done.stdout.decode()

    def write(self, path: str, data: bytes, mode: str) -> None:
        """Put a file there, owned by root."""
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"'
        self.run("sh", "-c", script, "sh", path, mode, stdin=data)

    def program(self, *words: str, stdin: bytes = b"") -> tuple[int, dict[str, Any]]:
        """Run the on-host program; give its exit code and its answer."""
        done = self.execute(PROGRAM, "--balancer", self.kind, *words, stdin=stdin)
        assert done.stdout.count(b"\n") == 1, (words, done.stdout, done.stderr[-2000:])
        return done.returncode, json.loads(done.stdout)

    def must(self, *words: str, stdin: bytes = b"") -> dict[str, Any]:
        """Run a verb that must succeed, and give its answer."""
        code, answer = self.program(*words, stdin=stdin)
        assert code == 0, answer
        return answer

    def python(self, code: str) -> Any:
        """Run Python inside, with `driver` at hand; give what it assigned to `result`."""
        script = (
            f"import sys, json; sys.path.insert(0, {PROGRAM!r})\n"
            "from evenkeel.host.system import driver as base\n"
            f"driver = base.load({self.kind!r})\n{code}\n"
            "print(json.dumps(result))"
        )
        return json.loads(self.run("python3", "-c", script))

    def spread(self, wanted: dict[str, Any], pool: str) -> dict[str, float]:
        """What the role says each server gets of many different keys."""
        pools = {one["name"]: one for one in normalise(parse_intent(wanted))["pools"]}
        assert self._dialect.spread is not None, "say how a hash spreads, in the dialect"
        names = [server["name"] for server in pools[pool]["servers"]]
        found = self._dialect.spread(pools[pool], names)
        assert found is not None
        return found

    def render(self, wanted: dict[str, Any]) -> Release:
        """Render an intent with the balancer's own role."""
        plain = normalise(parse_intent(wanted))
        assert self._dialect.unsupported(plain) == []
        return release_of(render_files(plain, 0, self._dialect, self._printer))

    def prepare(self, change: str, release: Release) -> dict[str, Any]:
        """Prepare a release that must be accepted."""
        words = ("prepare", "--change", change, "--release", release.digest)
        return self.must(*words, stdin=release.archive(change))

    def activate(
        self, change: str, release: Release, lease: float = 60
    ) -> tuple[int, dict[str, Any]]:
        """Activate a prepared release."""
        return self.program(
            "activate", "--change", change, "--release", release.digest,
            "--lease-seconds", str(lease),
        )  # fmt: skip

    def deploy(self, change: str, release: Release, lease: float = 60) -> dict[str, Any]:
        """Prepare and activate a release, both of which must succeed."""
        self.prepare(change, release)
        code, answer = self.activate(change, release, lease)
        assert code == 0, answer
        return answer

    def main_pid(self) -> str:
        """The balancer's main process."""
        return self.run("systemctl", "show", "-p", "MainPID", "--value", self.facts["unit"])

    def live_files(self) -> dict[str, bytes]:
        """The bytes that the balancer reads at its native paths."""
        return {
            name: self.execute("cat", path).stdout
            for name, path in self.facts["native_paths"].items()
        }

    def drive(self, requests: int) -> dict[str, Any]:
        """Send requests one after another and give the answers, by server."""
        out = self.run("python3", INSIDE, "drive", str(LISTEN), str(requests))
        return json.loads(out.splitlines()[-1])

    def send(self, *words: object) -> dict[str, int]:
        """Run a client of inside.py (`paths`, `clients`); give the requests by server's port."""
        out = self.run("python3", INSIDE, *map(str, words))
        found: dict[str, int] = json.loads(out.splitlines()[-1])
        return found

    def observed(self, pool: str) -> dict[str, Any]:
        """What the driver observes of a pool now."""
        found: dict[str, Any] = self.python("result = driver.observe()")["pools"][pool]
        return found

    def traffic(self) -> Traffic:
        """Send requests until the block ends."""
        return Traffic(self)

    def wait_for(self, true: Any, seconds: float, what: str) -> None:
        """Wait until `true()` holds."""
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, f"{what} did not happen within {seconds} s"
            time.sleep(0.1)


class Traffic:
    """Steady requests to the balancer while a block runs; `result` holds what came of them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.result: dict[str, Any] = {}

    def __enter__(self) -> Traffic:
        words = ["python3", INSIDE, "drive", str(LISTEN), "0"]
        self._process = enter.start(self._host.name, words)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"driving\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._host.run("touch", "/run/contract-stop")
        out, _ = self._process.communicate(timeout=30)
        self.result = json.loads(out.splitlines()[-1])


def content(answer: dict[str, Any]) -> dict[str, bytes]:
    """The files in an answer of `status --files`."""
    return {
        name: base64.b64decode(file["content_base64"]) for name, file in answer["files"].items()
    }
