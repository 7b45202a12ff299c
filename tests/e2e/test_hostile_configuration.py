"""A hostile configuration, by hand or through `extra`, is refused unread or harmless where it is.

What a change brings is refused before HAProxy reads it. What is said to be live is started, since
it is what root has written: so it runs a program here, as root in the container, and that program
finds no file of the controller, no network, and leaves nothing behind.
"""

import json
import re
import subprocess
import time
from contextlib import suppress

import pytest
from evenkeel_proof.commands.playbook import Playbooks
from unit.rehearsal.changes import hand_made, intent

from evenkeel.change.folder import ChangeFolder
from evenkeel.containers import names, podman
from evenkeel.errors import EXIT_REFUSED, Refused
from evenkeel.rehearsal import bundles
from evenkeel.verbs.host_facts import Host
from evenkeel.verbs.render import Request, render

ROLE = names.ROOT / "roles" / "balancer_haproxy"
LOOK_SECONDS = 0.2
LONGEST_RUN_SECONDS = 400
LARGEST_RECORD_BYTES = 1024 * 1024
SECRET = "what-only-the-controller-knows"
DEBIAN = "global\n    chroot /var/lib/haproxy\n    log /dev/log local0\n"
LIVE = (
    hand_made(2)
    .replace("global\n", DEBIAN)
    .replace(
        "timeout server",
        "option redispatch\n    option forwardfor\n    log global\n    timeout server",
    )
)

# What a change brings -> what is put into the live file: (after this text, these lines). One of
# each kind; tests/unit/balancer_haproxy/driver/test_guard.py has every other line that is refused.
LINES = {
    "lua-load": ("global\n", "    lua-load /tmp/x.lua\n"),
    "a-program": ("defaults\n", "program evil\n    command /bin/sh\n"),
    "a-preload": ("global\n", "    setenv LD_PRELOAD /tmp/x.so\n"),
    "a-socket-over-a-file": ("global\n", "    stats socket /etc/cron.d/x level admin\n"),
    "a-path-that-climbs": (
        "frontend everything\n",
        "    acl a src -f /etc/haproxy/lists/../../shadow\n",
    ),
    "another-section": ("defaults\n", "include /etc/shadow\n"),
}
# What a change says through `extra`, where the template has a place for it.
EXTRA = {
    "global": (
        "lua-load /tmp/x.lua",
        "insecure-fork-wanted",
        "chroot /",
        "user root",
        "external-check",
        "stats socket /tmp/admin.sock level admin",
        "setenv LD_PRELOAD /tmp/x.so",
        'log "$SECRET" local0',
        "maxconn 5\nprogram evil\n    command /bin/sh",
        "program evil",
    ),
    "defaults": ("errorfile 503 /etc/shadow", "external-check command /bin/sh"),
}


def hostile(name):
    """Give the live file with what the change `name` brings."""
    after, lines = LINES[name]
    assert after in LIVE
    # What is no line of the section comes before it, as a section of its own.
    whole = after + lines if lines.startswith(" ") else lines + after
    return LIVE.replace(after, whole, 1)


class Controller:
    """A place to render and to validate, with an inventory of hosts that nobody reaches."""

    def __init__(self, top, hosts):
        self.changes = top / "changes"
        inventory = top / "inventory.yml"
        listed = "".join(f"    {host}: {{ansible_host: 192.0.2.1}}\n" for host in hosts)
        inventory.write_text(
            f"balancers:\n  vars: {{balancer_kind: haproxy}}\n  hosts:\n{listed}", "utf-8"
        )
        self.playbooks = Playbooks(
            root=names.ROOT,
            inventory=inventory,
            log=top / "log",
            environment={},
            extra={"evenkeel_changes_dir": str(self.changes)},
            show=lambda _: None,
        )

    def render(self, change, hosts):
        """Render files by hand, {host: (live, new)}, or one intent for a host."""
        folder = ChangeFolder(self.changes / change)
        request = Request(
            folder=folder,
            author="ann",
            title=change,
            balancer_kind="haproxy",
            role_dir=ROLE,
            fleet=tuple(hosts),
        )
        return folder, render(request, hosts, write=True)

    def validate(self, change):
        return self.playbooks.play("validate", change=change)


def by_hand(live, new):
    return Host({}, {"haproxy.cfg": live.encode()}, None, {"haproxy.cfg": new.encode()})


@pytest.fixture(autouse=True, scope="module")
def lab():
    """A name of its own, so that no other rehearsal of this checkout is in the way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENKEEL_LAB", f"{names.lab_name()[:26]}-evil")
        yield names.lab_name()


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """One change with a host for each hostile configuration, after its rehearsal."""
    top = tmp_path_factory.mktemp("hostile")
    controller = Controller(top, LINES)
    folder, _ = controller.render("evil", {name: by_hand(LIVE, hostile(name)) for name in LINES})
    code, said = controller.validate("evil")
    return folder, code, said


def test_the_rehearsal_of_hostile_files_is_a_refusal_and_no_traceback(refused):
    _, code, said = refused
    assert code != 0
    assert "Traceback" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize("name", LINES)
def test_what_a_change_brings_is_refused_before_haproxy_reads_it(refused, name):
    folder, _, _ = refused
    body = json.loads(folder.staging_json.read_text(encoding="utf-8"))["body"]
    bundle = next(one for one in body["bundles"] if name in one["hosts"])
    checks = {one["id"]: one for one in bundle["checks"]}
    # These are the words of the host's own reading, which comes before any program's.
    (reason,) = checks["native_check"]["reasons"]
    assert re.search(r"line \d+: .*(not allowed|must be|only allowed)", reason), reason
    assert checks["native_check"]["numbers"]["exit"] == EXIT_REFUSED
    assert checks["activation"]["reasons"] == ["it was not reached"]
    assert checks["container"]["verdict"] == "pass"


@pytest.mark.parametrize(("place", "line"), [(p, one) for p, many in EXTRA.items() for one in many])
def test_what_extra_brings_is_refused_when_it_is_rendered(tmp_path, place, line):
    controller = Controller(tmp_path, ["lb1"])
    value = intent(extra={place: [line]})
    with pytest.raises(Refused) as refusal:
        controller.render("evil", {"lb1": Host(value, None)})
    assert "Traceback" not in str(refusal.value)
    assert not (controller.changes / "evil").exists()


ATTACK = """\
program evil
    command /bin/sh -c '{shell}'
"""
# What it can reach goes to a file; then noise that a terminal would obey, more than anybody reads.
SHELL = (
    "(cat {secret} {checkout}/pyproject.toml; ls /sys/class/net; cat /proc/net/route | wc -l;"
    " ls -d {checkout}; id -u) > /run/evidence 2>&1; mv /run/evidence /run/owned;"
    ' /bin/sh -c "while :; do sleep 9; done" {mark} &'
    " i=0; while [ $i -lt 20000 ]; do i=$((i+1));"
    ' printf "[ALERT] error \\\\033]0;owned\\\\007\\\\033[31m {mark}\\\\n" >&2; done; wait'
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, lab):
    """A rehearsal over a live configuration that runs a program; gives what that one could see."""
    top = tmp_path_factory.mktemp("attack")
    secret = top / "secret"
    secret.write_text(SECRET, encoding="utf-8")
    mark = f"evil-{lab}"
    shell = SHELL.format(secret=secret, checkout=names.ROOT, mark=mark).replace("'", "'\\''")
    live = LIVE.replace("defaults\n", ATTACK.format(shell=shell) + "defaults\n", 1)
    controller = Controller(top, ["lb1"])
    folder, _ = controller.render("attack", {"lb1": by_hand(live, LIVE + "\n# changed\n")})
    command = controller.playbooks.command("validate", {"change": "attack"})
    evidence, until = "", time.monotonic() + LONGEST_RUN_SECONDS
    with (top / "said").open("w+", encoding="utf-8", errors="replace") as out:
        process = controller.playbooks.start(command)
        reader = subprocess.Popen(["/bin/cat"], stdin=process.stdout, stdout=out)
        while process.poll() is None and time.monotonic() < until:
            evidence = evidence or _evidence(lab)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
        assert process.poll() is not None, "the rehearsal did not end"
        reader.wait(30)
        out.seek(0)
        said = out.read()
    return {"evidence": evidence, "said": said, "folder": folder, "mark": mark}


def _evidence(lab):
    """Give what the program wrote in the container of this run, once it has."""
    label = f"label={bundles.LABEL}={lab}"
    for number in podman.call(["ps", "--quiet", "--filter", label]).decode().split():
        with suppress(Exception):
            return podman.call(["exec", number, "cat", "/run/owned"]).decode()
    return ""


def test_a_program_of_what_is_live_sees_nothing_of_the_controller(attacked):
    assert attacked["evidence"].splitlines()[-1] == "0", "it ran, and as root"
    assert SECRET not in attacked["evidence"]
    assert attacked["evidence"].count("No such file or directory") == 3


def test_a_program_of_what_is_live_has_no_network(attacked):
    lines = attacked["evidence"].splitlines()
    links = [line for line in lines if re.fullmatch(r"(lo|eth\d+|[a-z]+\d+)", line)]
    assert links == ["lo"]


def test_nothing_of_it_is_left_over(attacked, lab):
    found = subprocess.run(["pgrep", "-f", attacked["mark"]], capture_output=True, check=False)
    assert found.stdout == b""
    label = f"label={bundles.LABEL}={lab}"
    assert podman.call(["ps", "--all", "--quiet", "--filter", label]) == b""


def test_what_it_prints_reaches_nobody_s_terminal_and_fills_no_record(attacked):
    assert "\x1b" not in attacked["said"]
    assert "Traceback" not in attacked["said"]
    assert len(attacked["said"]) < LARGEST_RECORD_BYTES
    record = attacked["folder"].staging_json
    text = record.read_text(encoding="utf-8") if record.exists() else ""
    assert len(text) < LARGEST_RECORD_BYTES
    assert "\\u001b" not in text
