"""One verb of the on-host program on one host: options from the change, result for the task.

In check mode a verb that would change the host reads its status instead and predicts the change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast

from evenkeel.canary.first import wait_for_first_host
from evenkeel.canary.watch import CANARY, Watch, write_result
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.release_archive import release_archive
from evenkeel.errors import EXIT_ROLLED_BACK, Refused, UsageError, indented, printable
from evenkeel.records import canonical_json, write_atomically
from evenkeel.remote import READING_VERBS, Answer, OptionValue
from evenkeel.verbs import context, diff_mode
from evenkeel.verbs.check_mode import back_to, would_change
from evenkeel.verbs.drain import drain_options
from evenkeel.verbs.results import (
    Difference,
    Ending,
    HostAnswer,
    HostArguments,
    HostResult,
    TaskVars,
)

ARGUMENTS = tuple(HostArguments.__annotations__)

# Ansible walks all registered values: large ones delay rollbacks.
_NOT_REGISTERED = ("servers", "snapshots")


class Task(context.Task, Protocol):
    """What a verb needs of the task that runs it (see EvenkeelAction)."""

    def on_host(  # noqa: D102 - see EvenkeelAction
        self,
        task_vars: TaskVars,
        verb: str,
        options: Mapping[str, OptionValue],
        stdin: bytes = b"",
    ) -> Answer: ...


@dataclass(frozen=True)
class HostContext:
    """A task of evenkeel_host, which runs on every host of its play."""

    task: Task
    args: HostArguments
    task_vars: TaskVars

    @property
    def verb(self) -> str:
        """The verb of the on-host program."""
        return str(self.args["verb"])

    @property
    def host(self) -> str:
        """The host's name in the inventory."""
        return str(self.task_vars["inventory_hostname"])

    @property
    def folder(self) -> ChangeFolder:
        """The folder of the change that `change` names."""
        return ChangeFolder(self.task.change_folder(self.args))

    def send(
        self, verb: str, options: Mapping[str, OptionValue], stdin: bytes = b""
    ) -> tuple[Answer, HostAnswer]:
        """Run `verb` on the host; give its answer, and the JSON object in it."""
        answer = self.task.on_host(self.task_vars, verb, options, stdin)
        return answer, cast("HostAnswer", answer.result)

    def result(self, changed: bool, host: HostAnswer, diff: list[Difference]) -> HostResult:
        """Give the task's result; with a difference when there is one to show."""
        result: HostResult = {"changed": changed, "host": host}
        if diff:
            result["diff"] = diff
        return result


Options = Callable[[HostContext], tuple[dict[str, OptionValue], bytes]]
"""Gives the options and the standard input of a verb."""


def act(task: Task, args: HostArguments, task_vars: TaskVars) -> HostResult:
    """Run the verb that `args` names on the task's host and give the task's result.

    Raises EvenkeelError with the host's own words when the host refuses or fails.
    """
    here = HostContext(task, args, task_vars)
    verb, host = here.verb, here.host
    options, stdin = _OPTIONS[verb](here)
    diff: list[Difference] = []
    if task.diff_mode and verb == "activate":
        diff = diff_mode.of_activation(here.folder, host)
    if task.check_mode and verb not in READING_VERBS:
        return _predict(here, options, diff)
    try:
        if verb == "activate":
            wait_for_first_host(here.folder, int(args["stage"]), host)
        answer, said = here.send(verb, options, stdin)
    except Exception as silence:
        if verb == "activate":
            error_of = {"error": {"what": str(silence).splitlines()[0]}}
            write_result(_watch_of(here), verb, "failed", error_of)
        raise
    error = answer.error(host)
    for note in said.get("notes") or []:
        task.show(printable(indented(f"{host}: {note}", len(host) + 2)))
    if "change" in args and "changes_dir" in args and verb not in READING_VERBS:
        _store(here, answer)
    diff = diff or _rollback_diff(here, str(said.get("to")))
    kept = {name: part for name, part in said.items() if name not in _NOT_REGISTERED}
    registered = cast("HostAnswer", kept)
    if "generations" in registered:
        registered["generations"] = registered["generations"][-1:]
    result = here.result(bool(said.get("changed")), registered, diff)
    if error and not args.get("tolerant"):
        raise error
    if args.get("files"):
        # Configurations hold secrets, which a log must not have.
        result["_ansible_no_log"] = True
    if error:
        result["evenkeel"] = cast("Ending", error.as_dict())
        result["msg"] = str(error)
    return result


def _release(here: HostContext) -> tuple[ChangeFolder, str, str | None]:
    """Give the change's folder and the digests of the host's release and base.

    Raises Refused when the change is not the one that deploy let pass, or has no such host.
    """
    folder, change = here.folder, here.args["change"]
    manifest, digest = folder.sealed()
    if here.args.get("digest") and digest != here.args["digest"]:
        raise Refused(
            f"The change {change} was modified after the deploy began",
            where=str(folder.manifest_json),
            wanted=f"digest {here.args['digest']}",
            got=f"digest {digest}",
            next_step="find out who wrote into the change's folder; no further host is touched",
        )
    hosts = manifest["hosts"]
    if here.host not in hosts:
        raise Refused(
            f"Change {change} holds nothing for this host",
            where=here.host,
            wanted=f"one of {', '.join(sorted(hosts))}"[:300],
            next_step="render the change for this host too, or leave it out with --limit",
        )
    return folder, str(hosts[here.host]["release"]), hosts[here.host]["base"]


def _prepare(here: HostContext) -> tuple[dict[str, OptionValue], bytes]:
    folder, release, _ = _release(here)
    options: dict[str, OptionValue] = {"change": here.args["change"], "release": release}
    return options, release_archive(folder.path, here.host)


def _activate(here: HostContext) -> tuple[dict[str, OptionValue], bytes]:
    _, release, base = _release(here)
    return {
        "change": here.args["change"],
        "release": release,
        "lease_seconds": int(here.args["lease_seconds"]),
        "base": base,
    }, b""


def _of_change(here: HostContext) -> tuple[dict[str, OptionValue], bytes]:
    return {
        "change": here.args["change"],
        "lease_seconds": here.args.get("lease_seconds"),
    }, b""


def _given(*names: str) -> Options:
    """Pass the arguments `names` on as they are, without the empty ones."""

    def options(here: HostContext) -> tuple[dict[str, OptionValue], bytes]:
        args = cast("Mapping[str, OptionValue]", here.args)
        return {name: args[name] for name in names if args.get(name) not in (None, "")}, b""

    return options


def _snapshot(here: HostContext) -> tuple[dict[str, OptionValue], bytes]:
    pinned = str(here.args.get("pinned", "")).lower()
    flags = {"": {}, "true": {"pinned": True}, "false": {"unpin": True}}
    if pinned not in flags:
        raise UsageError(
            "A snapshot is pinned or it is not",
            where="pinned",
            wanted="true or false",
            got=pinned[:40],
            next_step="correct -e pinned=…",
        )
    return {"name": here.args["name"], **flags[pinned]}, b""


_OPTIONS: dict[str, Options] = {
    "prepare": _prepare,
    "activate": _activate,
    "renew": _of_change,
    "confirm": _of_change,
    "status": _given("files"),
    "rollback": _given("undo", "to"),
    "snapshot": _snapshot,
    "drain": lambda here: (drain_options(here.args), b""),
    "undrain": _given("pool", "server"),
    "prune": _given("keep", "max_age_days"),
}


def _predict(
    here: HostContext, options: Mapping[str, OptionValue], diff: list[Difference]
) -> HostResult:
    """Tell from the host's status whether the verb would change it."""
    answer, status = here.send("status", {})
    error = answer.error(here.host)
    if error:
        raise error
    try:
        changed = would_change(here.verb, options, status)
    except Refused as refused:
        refused.where = f"{here.host}: {refused.where}" if refused.where else here.host
        if not here.args.get("tolerant"):
            raise
        changed = False
    diff = diff or _rollback_diff(here, back_to(status) if changed else "")
    return here.result(changed, {"live": status.get("live") or {}}, diff)


def _rollback_diff(here: HostContext, to: str) -> list[Difference]:
    """Give what `--diff` shows of a rollback to release `to`; [] for every other verb."""
    args = here.args
    if not (here.task.diff_mode and here.verb == "rollback" and args.get("undo")):
        return []
    # A damaged folder must not stop a rollback.
    with suppress(Exception):
        undone: HostArguments = {**args, "change": args["undo"]}
        return diff_mode.of_rollback(ChangeFolder(here.task.change_folder(undone)), here.host, to)
    return []


def _store(here: HostContext, answer: Answer) -> None:
    """Store the host's answer beside the change, for the outcome to account for the host."""
    verb, host = here.verb, here.host
    status = "ok" if answer.exit_code == 0 else "failed"
    value = {"host": host, "verb": verb, "status": status, "result": dict(answer.result)}
    write_atomically(here.folder.path / "hosts" / host / f"{verb}.json", canonical_json(value))
    if verb == "activate" and answer.exit_code:
        result = dict(answer.result) | {"reverted": answer.exit_code == EXIT_ROLLED_BACK}
        write_result(_watch_of(here), verb, "failed", result)


def _watch_of(here: HostContext) -> Watch:
    """Give the watch that this canary would have had, to write its result without one."""
    change, stage = str(here.args["change"]), int(here.args["stage"])
    return Watch(here.folder.path, change, stage, here.host, CANARY, (here.host,), 0, 0, {})
