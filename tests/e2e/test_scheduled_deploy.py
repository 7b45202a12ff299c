"""The systemd timer deploys due changes with nobody there: it runs in a controller of its own."""

import json
import sys
from pathlib import Path

import pytest
from e2e.helpers import LEASE_SECONDS, ONE_THEN_ALL, timeout, wait_until
from evenkeel_proof.lab import enter

from evenkeel.containers import podman
from evenkeel.containers.names import label, resource
from evenkeel.errors import EXIT_OK, EXIT_REFUSED, EXIT_ROLLED_BACK

CHECKOUT = "/opt/evenkeel"
UNITS = f"{CHECKOUT}/packaging/systemd/evenkeel-scheduled-deploy"
SERVICE = "evenkeel-scheduled-deploy.service"
TIMER = "evenkeel-scheduled-deploy.timer"
# The controller has no user of its own here, and its timer looks once, a second after its start.
# Where cgroups of version 1 are in use, systemd in a container is not told that a service's last
# process is gone, so it waits until this is over.
SERVICE_DROP_IN = "[Service]\nUser=root\nTimeoutStopSec=1\n"
TIMER_DROP_IN = "[Timer]\nOnCalendar=\nOnActiveSec=1\nRandomizedDelaySec=0\nAccuracySec=100ms\n"


class Controller:
    """A machine in the lab's network with systemd, the checkout at /opt/evenkeel, and the units."""

    def __init__(self, road, name, inventory):
        self.road, self.name, self.inventory = road, name, inventory

    def run(self, *words, stdin=b""):
        done = enter.run(self.name, words, stdin=stdin)
        assert done.returncode == 0, (words, done.stderr[-500:])
        return done.stdout.decode()

    def write(self, path, text):
        script = f"mkdir -p {Path(path).parent} && cat > {path}"
        self.run("sh", "-c", script, stdin=text.encode())

    def configure(self, **variables):
        """Say something in the inventory of this controller."""
        path = self.inventory / "group_vars" / "balancers" / "zz_scheduled.yml"
        path.write_text(json.dumps(variables))

    def show(self, unit, name):
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def let_the_timer_run(self):
        """Start the timer, wait for the whole run of the service that it starts; its exit code."""
        before = self.show(SERVICE, "InvocationID")
        # A timer that is active keeps what systemd knows of its service.
        self.run("systemctl", "restart", TIMER)

        def over():
            fresh = self.show(SERVICE, "InvocationID") not in (before, "")
            return fresh and self.show(SERVICE, "ActiveState") in ("inactive", "failed")

        wait_until(over, "the end of the run", 240)
        return int(self.show(SERVICE, "ExecMainStatus"))

    def journal(self):
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", SERVICE)


@pytest.fixture(scope="module")
def night(road):
    """A fleet with one confirmed change, and traffic that nobody looks at."""
    road.forget()
    road.confirmed("by-day")
    with road.traffic():
        yield road


@pytest.fixture(scope="module")
def controller(night, tmp_path_factory):
    road, fleet = night, night.fleet
    inventory = tmp_path_factory.mktemp("inventory")
    (inventory / "hosts.py").symlink_to(fleet.inventory / "hosts.py")
    (inventory / "group_vars" / "balancers").mkdir(parents=True)
    for path in (fleet.inventory / "group_vars" / "balancers").iterdir():
        (inventory / "group_vars" / "balancers" / path.name).symlink_to(path)
    name = resource(fleet.name, "controller")
    mounts = [f"{fleet.root}:{fleet.root}:ro", f"{road.changes}:{road.changes}"]
    mounts += [f"{inventory}:{inventory}:ro"]
    if not sys.base_prefix.startswith("/usr"):
        # The environment's interpreter is not the distribution's, so the controller gets it too.
        mounts.append(f"{sys.base_prefix}:{sys.base_prefix}:ro")
    podman.call(
        [
            "run", "--detach", f"--name={name}", f"--label={label(fleet.name)}",
            f"--network={resource(fleet.name)}", *podman.systemd(),
            *(f"--volume={mount}" for mount in mounts), fleet.image, "/sbin/init",
        ]
    )  # fmt: skip
    made = Controller(road, name, inventory)
    try:
        wait_until(
            lambda: enter.run(name, ["systemctl", "is-system-running", "--wait"]).returncode == 0,
            "the controller has booted",
        )
        made.run("ln", "-s", str(fleet.root), CHECKOUT)
        made.write(f"/etc/systemd/system/{SERVICE}.d/test.conf", SERVICE_DROP_IN)
        made.write(f"/etc/systemd/system/{TIMER}.d/test.conf", TIMER_DROP_IN)
        made.write(
            "/etc/default/evenkeel",
            f"EVENKEEL_LAB={fleet.name}\nEVENKEEL_INVENTORY={inventory}\n",
        )
        made.run("systemctl", "link", f"{UNITS}.service", f"{UNITS}.timer")
        yield made
    finally:
        podman.remove([name])


@pytest.fixture(autouse=True)
def plain_inventory(controller):
    controller.configure(**variables(controller))


def variables(controller, **more):
    return {
        "evenkeel_changes_dir": str(controller.road.changes),
        "canary_stages": ONE_THEN_ALL,
        "canary_lease_seconds": LEASE_SECONDS,
        **more,
    }


def scheduled(road, change, edit):
    """A change that is rendered for the schedule, rehearsed and approved."""
    return road.ready(change, edit, "-e", "change_scheduled=true")


def one_server_for_all(value):
    """The clients of the lab come from one address, so hashing it sends them all to one server."""
    value["pools"][0]["algorithm"] = {"kind": "hash", "key": "source"}


def test_the_units_are_what_systemd_accepts(controller):
    said = controller.run("systemd-analyze", "verify", SERVICE, TIMER)
    assert said == ""


def test_with_nothing_due_a_run_ends_well_and_says_so(controller):
    assert controller.let_the_timer_run() == EXIT_OK
    assert "nothing is due" in controller.journal()


def test_the_timer_takes_a_due_change_stage_by_stage_to_a_confirmed_fleet(controller):
    road = controller.road
    folder = scheduled(road, "by-night", timeout(41))
    assert controller.let_the_timer_run() == EXIT_OK, controller.journal()
    assert road.outcome("by-night")["hosts"] == dict.fromkeys(road.hosts, "confirmed")
    assert road.live() == dict.fromkeys(road.hosts, "by-night")
    idents = {path.name for path in (folder.path / "runner" / "artifacts").iterdir()}
    assert idents == {f"by-night.{part}.1" for part in ("stage-1", "stage-2", "confirm")}


def test_a_change_that_is_wrong_is_taken_back_and_exits_with_the_reserved_code(controller):
    road = controller.road
    before = road.live()
    scheduled(road, "wrong", one_server_for_all)
    assert controller.let_the_timer_run() == EXIT_ROLLED_BACK, controller.journal()
    hosts = road.outcome("wrong")["hosts"]
    assert list(hosts.values()) == ["reverted", "untouched", "untouched"]
    assert road.live() == before
    assert controller.let_the_timer_run() == EXIT_OK


def test_a_freeze_keeps_a_due_change_out_and_touches_no_host(controller):
    road = controller.road
    freeze = {"from": "2020-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z", "reason": "holidays"}
    controller.configure(**variables(controller, freeze_windows=[freeze]))
    scheduled(road, "frozen", timeout(42))
    before = road.traces()
    assert controller.let_the_timer_run() == EXIT_REFUSED
    assert "frozen: holidays" in controller.journal()
    assert road.traces() == before


def test_a_change_altered_after_its_approval_is_refused_by_name(controller):
    road = controller.road
    folder = road.folder("frozen")
    with (folder.bundle / "lb1" / "haproxy.cfg").open("ab") as stream:
        stream.write(b"# one more line\n")
    before = road.traces()
    assert controller.let_the_timer_run() == EXIT_REFUSED
    assert "bundle/lb1/haproxy.cfg" in controller.journal()
    assert road.traces() == before
