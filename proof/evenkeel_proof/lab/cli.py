"""The command line of `scripts/lab`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from evenkeel.containers import podman
from evenkeel.containers.images import IMAGES, image
from evenkeel.errors import EvenkeelError
from evenkeel_proof.lab import client_unit, lifecycle
from evenkeel_proof.lab.running import containers, load


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the lab; give its exit code."""
    given = _parser().parse_args(arguments)
    try:
        result: int = given.run(given)
    except EvenkeelError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="The embedded lab fleet.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("start", help="start the lab, or bring it to the number of hosts")
    verb.add_argument("--hosts", type=int, default=lifecycle.BALANCERS, metavar="N")
    verb.add_argument("--fresh", action="store_true", help="remove the one that runs before")
    verb.set_defaults(run=_start)
    verb = verbs.add_parser("stop", help="remove all of the lab")
    verb.set_defaults(run=_stop)
    verb = verbs.add_parser("status", help="show the machines")
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(run=_status)
    verb = verbs.add_parser("image", help="print an image's reference; build it if need be")
    verb.add_argument("kind", choices=sorted(IMAGES))
    verb.set_defaults(run=_image)
    verb = verbs.add_parser("exec", help="run a command as root in a machine")
    verb.add_argument("machine")
    verb.add_argument("command", nargs=argparse.REMAINDER)
    verb.set_defaults(run=_exec)
    for name, text in (("cut", "cut a machine off the network"), ("heal", "undo a cut")):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("machine")
        verb.set_defaults(run=_link, link=name)
    verb = verbs.add_parser("restart", help="boot a machine again")
    verb.add_argument("machine")
    verb.add_argument("--hard", action="store_true", help="as after a power cut")
    verb.set_defaults(run=_restart)
    verb = verbs.add_parser("traffic", help="steady client traffic through every balancer")
    verb.add_argument("do", choices=["start", "stop", "read"])
    verb.add_argument(
        "--rate", type=float, default=client_unit.RATE, help="a second, each balancer"
    )
    verb.add_argument("--seconds", type=float, default=client_unit.SECONDS, help="at most")
    verb.set_defaults(run=_traffic)
    return parser


def _start(given: argparse.Namespace) -> int:
    lifecycle.start(given.hosts, fresh=given.fresh)
    return _status(argparse.Namespace(json=False))


def _stop(_: argparse.Namespace) -> int:
    lifecycle.stop()
    return 0


def _status(given: argparse.Namespace) -> int:
    fleet = load()
    states = {c["Labels"]["evenkeel.machine"]: c["State"] for c in containers(fleet.name)}
    if given.json:
        record = {**vars(fleet), "root": str(fleet.root), "state": str(fleet.state)}
        _say(json.dumps(record | {"containers": states}, indent=1))
        return 0
    _say(f"lab {fleet.name}, network {fleet.subnet}")
    rows = [(host, address, host) for host, address in fleet.hosts.items()]
    rows += [(server, address, "web") for server, address in fleet.web.items()]
    rows.append(("client", fleet.client, "client"))
    for name, address, machine in rows:
        _say(f"  {name:8} {address:16} {states.get(machine, 'gone')}")
    return 0


def _image(given: argparse.Namespace) -> int:
    _say(image(given.kind))
    return 0


def _exec(given: argparse.Namespace) -> int:
    container = load().container(given.machine)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    words = [*podman.command(), "exec", "-i", *terminal, container, *(command or ["bash"])]
    os.execvp(words[0], words)  # noqa: S606


def _link(given: argparse.Namespace) -> int:
    fleet = load()
    (fleet.cut if given.link == "cut" else fleet.heal)(given.machine)
    return 0


def _restart(given: argparse.Namespace) -> int:
    load().restart(given.machine, hard=given.hard)
    return 0


def _traffic(given: argparse.Namespace) -> int:
    fleet = load()
    if given.do == "start":
        client_unit.start(fleet, rate=given.rate, seconds=given.seconds)
        return 0
    totals = client_unit.stop(fleet) if given.do == "stop" else client_unit.read(fleet)
    _say(json.dumps(totals, indent=1))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
