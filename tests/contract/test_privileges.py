"""The deploy user, through real sudo: the program and nothing else, and nothing that it would not.

Every attempt ends with a refusal, and the host is what it was before, byte by byte.
"""

from __future__ import annotations

import json

import pytest
from contract.deploy_user import (
    EXPORTER,
    PLACES,
    POLICY,
    TRAPS,
    USER,
    is_ours,
    line,
    listing,
    program,
    user,
)
from contract.hosts import PROGRAM, STORE, Host

OTHER_COMMANDS = [
    ["id"],
    ["/bin/sh", "-c", "touch /etc/owned"],
    ["touch", "/etc/owned"],
    ["-s"],
    ["-i"],
    ["-s", "touch", "/etc/owned"],
    ["-e", "/etc/shadow"],
    ["-e", PROGRAM],
    ["python3", PROGRAM, "--balancer", "x", "facts"],
    ["/usr/bin/python3", "-c", "open('/etc/owned', 'w')"],
    ["/usr/bin/env", PROGRAM],
    ["-u", "daemon", PROGRAM],
    ["-g", "daemon", PROGRAM],
    ["-u", "#0", "id"],
    ["-u", "#-1", "id"],
    ["-u", "#4294967295", PROGRAM],
    ["-E", PROGRAM],
    ["PYTHONPATH=/tmp", PROGRAM],
    ["LD_PRELOAD=/tmp/x.so", PROGRAM],
    ["-D", "/tmp", PROGRAM],
    ["-R", "/tmp", PROGRAM],
    ["-C", "10", PROGRAM],
    ["/tmp/traps/evenkeel-host"],
    ["/tmp/traps/linked/evenkeel-host"],
    [f"{PROGRAM} "],
    [f"{PROGRAM}\n"],
    ["/usr/local/sbin/"],
    ["/usr/local/sbin/evenkeel-hos?"],
    ["/usr/local/lib/evenkeel/drivers"],
    ["evenkeel-recover"],
    ["systemctl", "stop", "ssh"],
    ["visudo"],
    ["su"],
]


def test_sudo_runs_nothing_but_the_program_as_it_is(unchanged: Host, traps: None) -> None:
    for words in OTHER_COMMANDS:
        code, said = user(unchanged, "sudo", "-n", *words)
        assert code != 0 and not is_ours(said), (words, said)


def test_the_program_by_a_winding_path_is_still_the_program(unchanged: Host, traps: None) -> None:
    for path in ("/usr/local/sbin/../sbin/evenkeel-host", "evenkeel-host", f"{TRAPS}/itself/p"):
        code, said = user(unchanged, "sudo", "-n", path, *line(unchanged, "facts"))
        assert (code == 0) == is_ours(said), said


def test_sudo_allows_one_command_and_edits_nothing(unchanged: Host) -> None:
    listed = user(unchanged, "sudo", "-n", "-l")[1].decode()
    assert listed.partition("may run the following commands")[2].splitlines()[1:] == [
        f"    (root : root) NOSETENV: NOPASSWD: {PROGRAM}"
    ]
    assert user(unchanged, "sudoedit", "-n", PROGRAM)[0] != 0


def test_nothing_of_the_callers_environment_or_folder_is_believed(
    unchanged: Host, traps: None
) -> None:
    environment = {
        "PATH": f"{TRAPS}:/usr/bin:/bin",
        "PYTHONPATH": TRAPS,
        "PYTHONHOME": TRAPS,
        "PYTHONSTARTUP": f"{TRAPS}/os.py",
        "PYTHONINSPECT": "1",
        "PYTHONBREAKPOINT": "os.system",
        "LD_PRELOAD": f"{TRAPS}/trap.so",
        "LD_AUDIT": f"{TRAPS}/trap.so",
        "LD_LIBRARY_PATH": TRAPS,
        "GCONV_PATH": TRAPS,
        "LOCPATH": TRAPS,
        "ENV": f"{TRAPS}/rc",
        "BASH_ENV": f"{TRAPS}/rc",
        "HOME": TRAPS,
        "TMPDIR": TRAPS,
        "TZ": f"{TRAPS}/rc",
        "LC_ALL": "xx",
        "COLUMNS": "1\n",
    }
    words = [f"{name}={value}" for name, value in environment.items()]
    wanted = unchanged.must("status")
    status = ["sudo", "-n", PROGRAM, *line(unchanged, "status")]
    code, said = user(unchanged, "/usr/bin/env", *words, *status, folder=TRAPS)
    # The caller's own env and sudo complain of LD_PRELOAD where they honour it: nobody else may.
    answer = next(json.loads(one) for one in said.splitlines() if one.startswith(b"{"))
    assert code == 0 and answer["live"] == wanted["live"]


@pytest.mark.parametrize("name", ["PYTHONPATH", "PATH", "ANYTHING"])
def test_sudo_preserves_no_variable_that_it_is_asked_to(unchanged: Host, name: str) -> None:
    asked = ["sudo", "-n", f"--preserve-env={name}", PROGRAM, *line(unchanged, "facts")]
    code, said = user(unchanged, "/usr/bin/env", f"{name}={TRAPS}", "/usr/bin/sudo", *asked[1:])
    assert code != 0 and not is_ours(said), said


# How a process may be made before sudo starts: signals, limits, priority, a mask.


LEADING_ELSEWHERE = [
    ["--balancer", "../etc", "status"],
    ["--balancer", "/etc/passwd", "status"],
    ["--balancer", "x\n", "status"],
    ["--balancer", "nobody", "status"],
    ["--balancer", "", "status"],
    ["status", "--balancer"],
    ["KIND", "prepare", "--change", "../../etc/cron.d/x", "--release", "0" * 64],
    ["KIND", "prepare", "--change", "c1", "--release", "../" * 21 + "x"],
    ["KIND", "prepare", "--change", "c1\n", "--release", "0" * 64],
    ["KIND", "activate", "--change", "/etc", "--release", "0" * 64, "--lease-seconds", "9"],
    ["KIND", "activate", "--change", "c", "--release", "0" * 64, "--lease-seconds", "9"],
    ["KIND", "activate", "--change", "c", "--release", "0" * 64, "--lease-seconds", "1e9"],
    ["KIND", "snapshot", "--name", "../../../etc/x"],
    ["KIND", "snapshot", "--name", ".."],
    ["KIND", "snapshot", "--name", "/etc/x"],
    ["KIND", "rollback", "--to", "../releases"],
    ["KIND", "rollback", "--to", "/etc"],
    ["KIND", "rollback", "--to", "nothing"],
    ["KIND", "rollback", "--undo", "../x"],
    ["KIND", "observe", "--change", "../x", "--seconds", "0"],
    ["KIND", "confirm", "--change", "../x"],
    ["KIND", "prune", "--keep", "-1"],
    ["KIND", "drain", "--pool", "web", "--server", "a; b", "--owner", "x", "--reason", "y"],
    ["KIND", "drain", "--pool", "web", "--server", "a\n", "--owner", "x", "--reason", "y"],
    ["KIND", "drain", "--pool", "web", "--server", "a", "--owner", "x", "--reason", "y\nz"],
    ["KIND", "recover", "--root", "/tmp"],
    ["KIND", "metrics", "--output", "/etc/cron.d/x.prom"],
    ["KIND", "metrics", "--output", "/var/lib/evenkeel/metrics/../../x.prom"],
    ["KIND", "metrics", "--output", "/var/lib/evenkeel/metrics/.x.prom"],
    ["KIND", "metrics", "--output", "/var/lib/evenkeel/metrics/x.txt"],
    ["KIND", "metrics", "--output", "/var/lib/evenkeel/x.prom"],
    ["KIND", "metrics", "--output", "x.prom"],
    ["KIND", "metrics", "--output", "/var/lib/node_exporter/textfile_collector/x.prom"],
    ["KIND", "metrics", "--output", "/var/lib/node_exporter/textfile_collector/x.prom\n"],
]


def test_no_word_of_the_command_line_leads_anywhere_else(unchanged: Host) -> None:
    for attempt in LEADING_ELSEWHERE:
        words = line(unchanged, *attempt[1:]) if attempt[0] == "KIND" else attempt
        code, said = user(unchanged, "sudo", "-n", PROGRAM, *words)
        assert code in (2, 10), (words, said)
        assert json.loads(said)["outcome"] == "untouched", (words, said)


def test_metrics_follow_no_link(guarded: Host) -> None:
    folder = f"{EXPORTER}/textfile_collector"
    words = ("metrics", "--output", f"{folder}/x.prom")
    guarded.run("install", "-d", "-o", USER, EXPORTER)
    seen = listing(guarded)
    assert user(guarded, "ln", "-s", "/etc/cron.d", folder)[0] == 0
    code, answer = program(guarded, *words)
    assert code == 10 and "symbolic link" in answer["error"]["got"]
    script = f"rm {folder}; mkdir {folder}; ln -s /etc/owned {folder}/x.prom"
    assert user(guarded, "sh", "-c", script)[0] == 0
    assert program(guarded, *words)[0] == 0
    guarded.run("rm", "-r", folder)
    assert listing(guarded) == seen
    guarded.run("rm", "-r", EXPORTER)


def test_the_deploy_user_can_write_and_look_nowhere(unchanged: Host) -> None:
    there = [place for place in PLACES if unchanged.execute("test", "-e", place).returncode == 0]
    assert {STORE, PROGRAM, "/usr/local/lib/evenkeel"} <= set(there)
    writable = user(unchanged, "find", *there, "(", "-type", "l", "-o", "-writable", "-print", ")")
    assert [row for row in writable[1].decode().splitlines() if row.startswith("/")] == []
    store = f"{STORE}/{unchanged.kind}"
    for words in (
        ["ls", store],
        ["cat", f"{store}/journal"],
        ["cat", f"{store}/live/{next(iter(unchanged.facts['native_paths']))}"],
        ["ln", "-s", "/etc/shadow", f"{store}/releases/x"],
        ["mkdir", f"{STORE}/x"],
        ["touch", f"{STORE}/metrics/x.prom"],
        ["touch", "/usr/local/lib/evenkeel/drivers/x.zip"],
        ["touch", f"/usr/local/lib/evenkeel/drivers/{unchanged.kind}.zip"],
        ["touch", "/var/cache/evenkeel/x"],
        ["mkdir", "-p", f"{POLICY}/{unchanged.kind}"],
        ["cp", "/bin/sh", PROGRAM],
        ["touch", "/etc/sudoers.d/x"],
        ["cat", "/etc/sudoers.d/evenkeel"],
    ):
        assert user(unchanged, *words)[0] != 0, words


def test_no_file_or_folder_of_ours_is_open_to_others(strict: Host) -> None:
    """The store, which may hold secrets, is for root alone; the rest root alone may write."""
    assert strict.execute("test", "-d", f"{POLICY}/{strict.kind}").returncode == 0
    find = ("find", *[p for p in PLACES if strict.execute("test", "-e", p).returncode == 0])
    odd = ("-not", "-type", "l", "(", "-perm", "/022", "-o", "-not", "-user", "root", ")", "-print")
    assert strict.run(*find, *odd) == ""
    store = f"{STORE}/{strict.kind}"
    assert strict.run("find", store, "-not", "-type", "l", "-perm", "/007", "-print") == ""
    assert strict.run("find", "/var/cache/evenkeel", "-perm", "/077", "-print") == ""
    assert strict.run("find", "/etc/sudoers.d/evenkeel", "-perm", "/227", "-print") == ""
