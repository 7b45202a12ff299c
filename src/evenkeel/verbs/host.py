"""One verb of the on-host program on one host, as a task: options from the change, result back.

In check mode nothing is changed: a verb that would change the host asks it for its status instead
and says what would happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from evenkeel.canary.first import wait_for_first_host
from evenkeel.canary.watch import CANARY, Watch, write_result
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.release_archive import release_archive
from evenkeel.errors import EXIT_ROLLED_BACK, Refused, UsageError, indented, printable
from evenkeel.records import canonical_json, write_atomically
from evenkeel.remote import READING_VERBS, Answer
from evenkeel.verbs import diff_mode
from evenkeel.verbs.check_mode import back_to, would_change
from evenkeel.verbs.drain import drain_options

ARGUMENTS = (
    "verb",
    "change",
    "changes_dir",
    "files",
    "stage",
    "lease_seconds",
    "undo",
    "to",
    "name",
    "pinned",
    "keep",
    "max_age_days",
    "pool",
    "server",
    "reason",
    "owner",
    "minutes",
    "digest",
    "tolerant",
)


class Task(Protocol):
    """What a verb needs of the task that it runs in."""

    @property
    def check_mode(self) -> bool: ...  # noqa: D102 - see EvenkeelAction
    @property
    def diff_mode(self) -> bool: ...  # noqa: D102 - see EvenkeelAction
    def change_folder(self, args: Mapping[str, Any]) -> Path: ...  # noqa: D102 - see EvenkeelAction
    def show(self, line: str) -> None: ...  # noqa: D102 - see EvenkeelAction
    def on_host(  # noqa: D102 - see EvenkeelAction
        self,
        task_vars: Mapping[str, Any],
        verb: str,
        options: Mapping[str, object],
        stdin: bytes = b"",
    ) -> Answer: ...


# What no playbook reads of a host's status, and grows with its servers and its past: Ansible walks
# through all of what was registered whenever some of it is read, which can take it longer than the
# hosts need to go back.
_NOT_REGISTERED = ("servers", "snapshots")

Options = Callable[[Task, Mapping[str, Any], str], tuple[dict[str, object], bytes]]
"""Gives a verb's options and its standard input, from the task, its arguments and the host."""


def act(task: Task, args: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
    """Run the verb that `args` names on the task's host and give the task's result.

    Raises EvenkeelError with the host's own words when the host refuses or fails.
    """
    verb = str(args["verb"])
    host = str(task_vars["inventory_hostname"])
    options, stdin = _OPTIONS[verb](task, args, host)
    diff = {}
    if task.diff_mode and verb == "activate":
        diff = diff_mode.of_activation(ChangeFolder(task.change_folder(args)), host)
    if task.check_mode and verb not in READING_VERBS:
        return _predict(task, args, task_vars, verb, options) | diff
    try:
        if verb == "activate":
            wait_for_first_host(ChangeFolder(task.change_folder(args)), int(args["stage"]), host)
        answer = task.on_host(task_vars, verb, options, stdin)
    except Exception as silence:
        if verb == "activate":
            said = {"error": {"what": str(silence).splitlines()[0]}}
            write_result(_watch(task, args, host), verb, "failed", said)
        raise
    error = answer.error(host)
    for note in answer.result.get("notes") or []:
        task.show(printable(indented(f"{host}: {note}", len(host) + 2)))
    if "change" in args and "changes_dir" in args and verb not in READING_VERBS:
        _keep(task, args, verb, host, answer)
    diff |= _way_back(task, args, host, str(answer.result.get("to")))
    result = {"changed": bool(answer.result.get("changed")), "host": _registered(answer)} | diff
    if error and not args.get("tolerant"):
        raise error
    if args.get("files"):
        # Whole configurations, with the secrets in them: for who registers them, not for a log.
        result["_ansible_no_log"] = True
    return result | ({"evenkeel": error.as_dict(), "msg": str(error)} if error else {})


def _registered(answer: Answer) -> dict[str, Any]:
    """Give what a playbook registers of an answer; of the confirmed releases, the last."""
    kept = {name: part for name, part in answer.result.items() if name not in _NOT_REGISTERED}
    if "generations" in kept:
        kept["generations"] = kept["generations"][-1:]
    return kept


def _release(
    task: Task, args: Mapping[str, Any], host: str
) -> tuple[ChangeFolder, str, str | None]:
    folder = ChangeFolder(task.change_folder(args))
    manifest, digest = folder.sealed()
    if args.get("digest") and digest != args["digest"]:
        raise Refused(
            f"The change {args['change']} is no longer the one that was let pass",
            where=str(folder.manifest_json),
            wanted=f"digest {args['digest']}",
            got=f"digest {digest}",
            next_step="find out who wrote into the change's folder; nothing more is touched",
        )
    hosts = manifest["hosts"]
    if host not in hosts:
        raise Refused(
            f"Change {args['change']} holds nothing for this host",
            where=host,
            wanted=f"one of {', '.join(sorted(hosts))}"[:300],
            next_step="render the change for this host too, or leave it out with --limit",
        )
    return folder, str(hosts[host]["release"]), hosts[host]["base"]


def _prepare(task: Task, args: Mapping[str, Any], host: str) -> tuple[dict[str, object], bytes]:
    folder, release, _ = _release(task, args, host)
    options: dict[str, object] = {"change": args["change"], "release": release}
    return options, release_archive(folder.path, host)


def _activate(task: Task, args: Mapping[str, Any], host: str) -> tuple[dict[str, object], bytes]:
    _, release, base = _release(task, args, host)
    return {
        "change": args["change"],
        "release": release,
        "lease_seconds": int(args["lease_seconds"]),
        "base": base,
    }, b""


def _of_change(task: Task, args: Mapping[str, Any], host: str) -> tuple[dict[str, object], bytes]:
    del task, host
    return {"change": args["change"], "lease_seconds": args.get("lease_seconds")}, b""


def _plain(*names: str) -> Options:
    def options(task: Task, args: Mapping[str, Any], host: str) -> tuple[dict[str, object], bytes]:
        del task, host
        return {name: args[name] for name in names if args.get(name) not in (None, "")}, b""

    return options


def _snapshot(task: Task, args: Mapping[str, Any], host: str) -> tuple[dict[str, object], bytes]:
    del task, host
    pinned = str(args.get("pinned", "")).lower()
    flags = {"": {}, "true": {"pinned": True}, "false": {"unpin": True}}
    if pinned not in flags:
        raise UsageError(
            "A snapshot is pinned or it is not",
            where="pinned",
            wanted="true or false",
            got=pinned[:40],
            next_step="correct -e pinned=…",
        )
    return {"name": args["name"], **flags[pinned]}, b""


def _drain(task: Task, args: Mapping[str, Any], host: str) -> tuple[dict[str, object], bytes]:
    del task, host
    return drain_options(args), b""


_OPTIONS: dict[str, Options] = {
    "prepare": _prepare,
    "activate": _activate,
    "renew": _of_change,
    "confirm": _of_change,
    "status": _plain("files"),
    "rollback": _plain("undo", "to"),
    "snapshot": _snapshot,
    "drain": _drain,
    "undrain": _plain("pool", "server"),
    "prune": _plain("keep", "max_age_days"),
}


def _predict(
    task: Task,
    args: Mapping[str, Any],
    task_vars: Mapping[str, Any],
    verb: str,
    options: Mapping[str, object],
) -> dict[str, Any]:
    """Say whether the verb would change the host, from what the host says of itself."""
    answer = task.on_host(task_vars, "status", {})
    host = str(task_vars["inventory_hostname"])
    error = answer.error(host)
    if error:
        raise error
    try:
        changed = would_change(verb, options, answer.result)
    except Refused as refused:
        refused.where = f"{host}: {refused.where}" if refused.where else host
        if not args.get("tolerant"):
            raise
        changed = False
    to = back_to(answer.result) if changed else ""
    diff = _way_back(task, args, host, to)
    return {"changed": changed, "host": {"live": answer.result.get("live") or {}}} | diff


def _way_back(task: Task, args: Mapping[str, Any], host: str, to: str) -> dict[str, Any]:
    """Give what `--diff` shows of a rollback to release `to`; {} for what is none."""
    if not (task.diff_mode and args["verb"] == "rollback" and args.get("undo")):
        return {}
    # Whatever the folder holds: what is only shown keeps no host from going back.
    with suppress(Exception):
        change = {"change": args["undo"], "changes_dir": args["changes_dir"]}
        return diff_mode.of_rollback(ChangeFolder(task.change_folder(change)), host, to)
    return {}


def _keep(task: Task, args: Mapping[str, Any], verb: str, host: str, answer: Answer) -> None:
    """Keep what the host said beside the change, so that the outcome can account for every host."""
    folder = task.change_folder(args)
    status = "ok" if answer.exit_code == 0 else "failed"
    value = {"host": host, "verb": verb, "status": status, "result": dict(answer.result)}
    write_atomically(folder / "hosts" / host / f"{verb}.json", canonical_json(value))
    if verb == "activate" and answer.exit_code:
        result = dict(answer.result) | {"reverted": answer.exit_code == EXIT_ROLLED_BACK}
        write_result(_watch(task, args, host), verb, "failed", result)


def _watch(task: Task, args: Mapping[str, Any], host: str) -> Watch:
    """Give the watch that a canary which was not activated would have had."""
    folder, change = task.change_folder(args), str(args["change"])
    return Watch(folder, change, int(args["stage"]), host, CANARY, (host,), 0, 0, {})
