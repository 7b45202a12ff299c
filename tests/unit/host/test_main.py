import io
import json
import multiprocessing
import re
from pathlib import Path

import pytest
from unit.host.fakes import SECOND, Host, digest

from evenkeel.host.main import VERBS, main
from evenkeel.host.system import lock, process
from evenkeel.host.system.steps import Steps
from evenkeel.host.verbs import metrics


def test_every_verb_of_the_command_line_can_be_run() -> None:
    from evenkeel.host import arguments

    assert set(VERBS) == set(arguments.VERBS)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` takes the environment away; a test gives it back."""
    import os

    kept = dict(os.environ)
    mask = os.umask(0o022)
    yield
    os.umask(mask)
    os.environ.update(kept)


def test_speaks_one_json_object(host: Host, environment: None) -> None:
    out = io.StringIO()
    code = main(["--balancer", "fake", "facts"], io.BytesIO(), out, host.machine, Steps())
    assert code == 0 and out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue())["unit"] == "fake.service"


def test_a_wrong_command_line_is_an_answer_with_exit_code_2(environment: None) -> None:
    out = io.StringIO()
    assert main(["nonsense"], io.BytesIO(), out) == 2
    answer = json.loads(out.getvalue())
    assert answer["ok"] is False and set(answer["error"]) == {
        "what",
        "where",
        "wanted",
        "got",
        "next_step",
    }


def test_a_full_disk_is_an_answer(host: Host) -> None:
    host.prepare("c1", SECOND)

    class Full(Steps):
        def run(self, name, action):
            if name.startswith("journal"):
                raise OSError(28, "No space left on device")
            return action()

    code, answer = host.program(*host.activate_words("c1", SECOND), steps=Full())
    assert code == 12 and "No space" in answer["error"]["got"]


def test_a_disk_that_fills_up_during_the_switch_takes_the_host_back(host: Host) -> None:
    host.prepare("c1", SECOND)
    before = host.live()

    class Fills(Steps):
        full = False

        def run(self, name, action):
            if self.full and name.startswith("journal"):
                raise OSError(28, "No space left on device")
            self.full = self.full or name == "balancer: reload"
            return action()

    code, _ = host.program(*host.activate_words("c1", SECOND), steps=Fills())
    assert code in (11, 12)
    assert host.live() == host.driver.running() == before
    host.must("recover")
    assert host.status()["pending"] is None and host.live() == before


def _hold(path: str, ready, done) -> None:
    with lock.held(path, "activate", 1.0):
        ready.set()
        done.wait(20)


def test_a_lock_is_waited_for_and_its_holder_named(host: Host) -> None:
    host.status()
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(host.root / "lock"), ready, done))
    holder.start()
    assert ready.wait(10)
    try:
        code, answer = host.program("rollback")
        assert code == 10 and f'"pid": {holder.pid}' in answer["error"]["got"]
        holder.kill()
        holder.join()
        assert "nothing to go back" in host.program("rollback")[1]["error"]["what"]
    finally:
        holder.kill()


@pytest.mark.parametrize(
    "output",
    [
        "/etc/cron.d/x.prom",
        "/var/lib/evenkeel/metrics/x",
        "/var/lib/evenkeel/metrics/a/x.prom",
        "/var/lib/evenkeel/haproxy/journal",
    ],
)
def test_metrics_are_written_to_no_other_folder(host: Host, output: str) -> None:
    code, answer = host.program("metrics", "--output", output)
    assert code == 10 and answer["error"]["wanted"].startswith("a file *.prom in ")


def test_metrics_are_readable_and_say_what_waits(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "FOLDERS", ("", str(tmp_path)))
    host.deploy("c1", SECOND, confirm=False)
    host.must("metrics", "--output", str(tmp_path / "evenkeel.prom"))
    path = tmp_path / "evenkeel.prom"
    assert path.stat().st_mode & 0o777 == 0o644
    text = path.read_text()
    assert 'evenkeel_pending{balancer="fake",change="c1"} 1' in text
    assert f'release="{digest(SECOND)}",state="unconfirmed"}} 1' in text
    line = re.compile(r"# (HELP|TYPE) .+|[a-z_]+\{([a-z]+=\"[^\"]*\",?)*\} -?[0-9.]+")
    assert all(line.fullmatch(row) for row in text.splitlines())


def test_a_program_that_hangs_is_killed_with_its_children() -> None:
    code, said = process.run(["sh", "-c", "sleep 60 & sleep 60"], 0.3)
    assert code == process.TIMED_OUT and "0.3 s" in said


def test_what_a_program_says_is_bounded() -> None:
    code, said = process.run(["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"], 20)
    assert code == 0 and len(said) == process.LARGEST_OUTPUT_BYTES


def test_a_program_sees_nothing_of_the_callers_environment() -> None:
    code, said = process.run(["env"], 20)
    names = {line.split("=")[0] for line in said.splitlines()}
    assert code == 0 and names <= {*process.ENVIRONMENT, "PWD", "SHLVL", "_"}
