"""Reloads that are not what they seem: each is seen, named in the answer, and taken back."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evenkeel_proof.fault_injection import checks, role
from evenkeel_proof.fault_injection.fault_host import FaultHost, Release
from evenkeel_proof.fault_injection.silence import went_back
from evenkeel_proof.fault_injection.tally import Note, Tally, demand

TAKEN_PORT, TCP_PORT, TLS_PORT = 22022, 8081, 8443
CERTIFICATE = "/etc/ssl/evenkeel/faults.pem"
# Instead of the program's 60: nobody learns more by waiting longer.
RELOAD_SECONDS = 3
MOST_LEAVING = 3
REVERTED = 11
_PID = "/run/evenkeel-fault.pid"
_TAKER = """
import socket, time
held = socket.create_server(("", PORT))
print("in place", flush=True)
time.sleep(600)
"""


def run(host: FaultHost, tally: Tally, fast: bool = False) -> None:
    """Inject every reload that goes wrong."""
    for name in FAST if fast else CASES:
        with tally.fault("reload", name) as note:
            try:
                CASES[name](host, note)
                checks.goes_on(host)
            except Exception:
                host.shell('rm -f "$1"', CERTIFICATE)
                host.forget()
                raise


def ignored(host: FaultHost, note: Note) -> None:
    """The reload is accepted, and no worker changes."""
    program = role.load(host.role).ignore_reloads
    old = host.ready()
    with _running(host, program, "1"):
        code, answer = _activate(host, host.new_release())
        _demand_reverted(host, code, answer, old, ("no new worker",), note)


def ignored_twice(host: FaultHost, note: Note) -> None:
    """The reload of the way back is lost as well: the timer brings the host back."""
    program = role.load(host.role).ignore_reloads
    old, new, change = host.ready(), host.new_release(), host.new_change()
    host.prepare(change, new)
    with _running(host, program, "2"):
        orders = {"reload_seconds": RELOAD_SECONDS}
        code, answer = host.injected(orders, *host.activate_words(change, new, "5"))
        demand(code == 12, f"activate ended with {code}: {json.dumps(answer)[:300]}")
        checks.demand_served(host, old)
        went_back(host, change, old, note)


def dies_under_observe(host: FaultHost, note: Note) -> None:
    """The worker dies a moment after its reload was proven, while the host watches itself."""
    old, new = host.ready(), host.new_release()
    change = host.activate(new)
    words = ("observe", "--change", change, "--seconds", "60", "--judge", "--revert-on-fail")
    watch = host.fleet.started(host.name, host.words(*words))
    lock = f"ls {host.store}/observations/{change}-*.lock"
    host.wait_for(lambda: host.shell(lock), "the host watches itself")
    _kill_the_worker(host)
    said, _ = watch.communicate(timeout=90)
    answer = json.loads(said)
    demand(watch.returncode == REVERTED, f"observe ended with {watch.returncode}")
    seen = "; ".join(answer["reasons"])
    demand("restarted" in seen or "does not run" in seen, f"it did not name what it saw: {seen}")
    checks.one_of(host, [old])
    note.outcome, note.detail = "went back", seen


def dies_before_confirm(host: FaultHost, note: Note) -> None:
    """The worker dies a moment after its reload was proven, and then somebody confirms."""
    old, new = host.ready(), host.new_release()
    change = host.activate(new, "6")
    _kill_the_worker(host)
    host.wait_for(host.served, "the balancer answers after its worker died")
    code, answer = host.program("confirm", "--change", change)
    demand(code == 10, f"confirm ended with {code}")
    seen = str(answer["error"]["got"])
    demand("has died" in seen, f"confirm did not name what it saw: {seen}")
    went_back(host, change, old, note)
    note.detail = seen


def port_taken(host: FaultHost, note: Note) -> None:
    """Another program takes the port between the check and the reload."""
    old, new, change = host.ready(), host.new_release({"port": TAKEN_PORT}), host.new_change()
    host.prepare(change, new)
    with _running(host, _TAKER.replace("PORT", str(TAKEN_PORT))):
        code, answer = host.program(*host.activate_words(change, new))
        _demand_reverted(host, code, answer, old, ("not loaded", str(TAKEN_PORT)), note)


def certificate_missing(host: FaultHost, note: Note) -> None:
    """The certificate is there at the check and gone at the reload."""
    host.write(CERTIFICATE, certificate())
    bind = {"port": TLS_PORT, "tls": {"certificate": CERTIFICATE}}
    old, new, change = host.ready(), host.new_release(bind), host.new_change()
    host.prepare(change, new)
    host.shell('rm "$1"', CERTIFICATE)
    code, answer = host.program(*host.activate_words(change, new))
    _demand_reverted(host, code, answer, old, ("not loaded", CERTIFICATE), note)


def too_slow(host: FaultHost, note: Note) -> None:
    """The balancer takes longer for the reload than it may."""
    old = host.ready()
    code, answer = _activate(host, host.new_release(), **_hanging(host, 8))
    _demand_reverted(host, code, answer, old, ("did not answer in",), note)


def far_too_slow(host: FaultHost, note: Note) -> None:
    """The balancer hangs for longer than the way back can wait: the timer tries again."""
    old, new, change = host.ready(), host.new_release(), host.new_change()
    host.prepare(change, new)
    orders = {"reload_seconds": RELOAD_SECONDS, **_hanging(host, 45)}
    code, _ = host.injected(orders, *host.activate_words(change, new, "5"))
    demand(code == 12, f"activate ended with {code}")
    # What hangs is who takes its orders; requests are served, and by the old release.
    checks.demand_served(host, old)
    went_back(host, change, old, note)


def pile_up(host: FaultHost, note: Note) -> None:
    """Long connections keep old workers, until one more is refused."""
    with contextlib.ExitStack() as connections:
        for _ in range(MOST_LEAVING + 1):
            host.deploy(host.new_release(tcp_port=TCP_PORT))
            connections.enter_context(socket.create_connection((host.address, TCP_PORT), 10))
        leaving = host.must("status")["running"]["leaving"]
        demand(leaving >= MOST_LEAVING, f"{leaving} leaving workers were counted")
        old, new, change = host.ready(), host.new_release(), host.new_change()
        host.prepare(change, new)
        orders = {"most_leaving": MOST_LEAVING}
        code, answer = host.injected(orders, *host.activate_words(change, new))
        demand(code == 10, f"activate ended with {code}")
        error = answer["error"]
        demand("old workers" in error["what"], f"it did not name what it saw: {error}")
        checks.one_of(host, [old])
    note.outcome, note.detail = "refused", f"{error['what']}: {error['got']}"
    host.wait_for(lambda: host.must("status")["running"]["leaving"] == 0, "the workers have left")


CASES: dict[str, Callable[[FaultHost, Note], None]] = {
    "reload accepted, worker unchanged": ignored,
    "reload accepted twice, worker unchanged": ignored_twice,
    "worker dies later, seen by observe": dies_under_observe,
    "worker dies later, seen by confirm": dies_before_confirm,
    "port taken": port_taken,
    "certificate missing": certificate_missing,
    "reload slower than its limit": too_slow,
    "balancer hangs": far_too_slow,
    "old workers pile up": pile_up,
}
FAST = (
    "reload accepted, worker unchanged",
    "worker dies later, seen by confirm",
    "certificate missing",
    "old workers pile up",
)


def certificate() -> bytes:
    """Give a self-signed certificate with its key, as one PEM."""
    with tempfile.TemporaryDirectory() as folder:
        key, public = Path(folder, "key"), Path(folder, "crt")
        words = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=shop.example",
            "-keyout", str(key), "-out", str(public),
        ]  # fmt: skip
        subprocess.run(words, capture_output=True, timeout=30, check=True)
        return public.read_bytes() + key.read_bytes()


def _hanging(host: FaultHost, seconds: float) -> dict[str, Any]:
    """Give the orders that stop the balancer's main process right before its reload."""
    show = 'systemctl show --property=MainPID --value "$1"'
    return {"hang_seconds": seconds, "main_pid": int(host.shell(show, host.facts["unit"]))}


def _activate(host: FaultHost, new: Release, **more: float) -> tuple[int, dict[str, Any]]:
    """Prepare and activate a release with a limit for the reload that a test can wait for."""
    change = host.new_change()
    host.prepare(change, new)
    orders = {"reload_seconds": RELOAD_SECONDS, **more}
    return host.injected(orders, *host.activate_words(change, new))


def _demand_reverted(
    host: FaultHost,
    code: int,
    answer: dict[str, Any],
    old: Release,
    named: tuple[str, ...],
    note: Note,
) -> None:
    demand(code == REVERTED, f"activate ended with {code}: {json.dumps(answer)[:500]}")
    seen = str(answer["error"]["got"])
    for words in named:
        demand(words in seen, f"it did not name {words}: {seen}")
    checks.one_of(host, [old])
    note.outcome, note.detail = "went back", seen[:200]


def _kill_the_worker(host: FaultHost) -> None:
    pid = host.must("status")["running"]["worker_pid"]
    host.shell('kill -KILL "$1"', str(pid))


@contextlib.contextmanager
def _running(host: FaultHost, program: str, *words: str) -> Iterator[None]:
    """Run a Python program on the host during the block, which begins when it is in place."""
    script = 'echo $$ > "$1"; shift; exec python3 -c "$@"'
    process = host.fleet.started(host.name, ["sh", "-c", script, "sh", _PID, program, *words])
    assert process.stdout is not None  # noqa: S101 - for the type checker; PIPE was asked for
    demand(process.stdout.readline() == b"in place\n", "the fault could not be put in place")
    try:
        yield
    finally:
        # What entered the container passes no signal on: the process is told where it runs.
        host.shell('kill -TERM "$(cat "$1")"', _PID)
        process.wait(60)
