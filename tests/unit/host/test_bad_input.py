"""Whatever comes in, what goes out is one JSON object in ASCII and a reserved exit code."""

import io
import json
import os
from typing import Any

import pytest
from unit.host.fakes import SECOND, Host

from evenkeel.host import main as program
from evenkeel.host.errors import BalancerError
from evenkeel.host.state.journal import Journal
from evenkeel.host.system.steps import Steps

OBSERVE = ("observe", "--change", "c1", "--seconds", "0", "--judge")


@pytest.fixture(autouse=True)
def environment() -> None:
    """`main` takes the environment away; a test gives it back."""
    kept, mask = dict(os.environ), os.umask(0o022)
    yield
    os.umask(mask)
    os.environ.update(kept)


def said(host: Host, *words: str, stdin: bytes = b"") -> tuple[int, dict[str, Any]]:
    """Run the program with a strict standard output, as a host in the C locale has it."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    line = ["--balancer", "fake", *words]
    code = program.main(line, io.BytesIO(stdin), out, host.machine, Steps())
    data = raw.getvalue()
    assert data.endswith(b"\n") and data.count(b"\n") == 1 and data.isascii()
    answer = json.loads(data)
    json.dumps(answer, ensure_ascii=False).encode()
    return code, answer


@pytest.mark.parametrize("word", [b"\xff\xfe", "väter".encode(), b"x" * 5000])
def test_a_verb_of_any_bytes(host: Host, word: bytes) -> None:
    code, answer = said(host, os.fsdecode(word))
    assert code == 2 and answer["error"]["what"] == "There is no such verb"
    assert len(answer["verb"]) <= 80


@pytest.mark.parametrize(
    "policy",
    [
        b'{"alpha": %s}' % (b"9" * 400),
        b'{"minimum_requests": -%s}' % (b"9" * 400),
        b'{"alpha": NaN}',
        b'{"pools": {"\\ud800": {}}}',
        b'{"pools": {"web": {"\\udfff": 1}}}',
        b'{"\\ud800": 1}',
        b'{"pools": {"web": {"judged": []}}}',
        b'{"pools": %s}' % (b"[" * 500 + b"]" * 500),
        b"[" * 100000,
        b'"\xff"',
    ],
)
def test_a_policy_that_is_none(host: Host, policy: bytes) -> None:
    host.deploy("c1", SECOND)
    code, answer = said(host, *OBSERVE, stdin=policy)
    assert (code, answer["outcome"]) == (10, "untouched")
    assert "policy" in answer["error"]["what"] and len(answer["error"]["got"]) <= 300


PENDING = {
    "kind": "change",
    "phase": "activated",
    "change": "c1",
    "release": "0" * 64,
    "from": "1" * 64,
    "before": {},
    "runtime_state": {},
    "timer": "t",
    "lease": {"boot_id": "b", "deadline": 1.0},
}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in PENDING.items() if name != key}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"schema_version": 2},
        {"schema_version": 1, "pending": {}},
        {"schema_version": 1, "pending": []},
        {"schema_version": 1, "pending": {**PENDING, "phase": "dancing"}},
        {"schema_version": 1, "pending": {**PENDING, "kind": "rollback"}},
        {"schema_version": 1, "pending": {**PENDING, "phase": "going back"}},
        {"schema_version": 1, "pending": {**PENDING, "lease": {"boot_id": "b", "deadline": "1"}}},
        {"schema_version": 1, "pending": without("lease")},
        {"schema_version": 1, "pending": without("from")},
        {"schema_version": 1, "generations": {}},
        {"schema_version": 1, "generations": [1]},
        {"schema_version": 1, "generations": [{"number": "1", "release": "", "change": None}]},
        {"schema_version": 1, "last": 5},
        {"schema_version": 1, "loaded": "x"},
        {"schema_version": 1, "last_snapshot": []},
    ],
    ids=lambda content: json.dumps(content)[-40:],
)
@pytest.mark.parametrize("verb", [("status",), ("recover",), ("confirm", "--change", "c1")])
def test_a_journal_of_another_shape(host: Host, verb: tuple[str, ...], content: Any) -> None:
    said(host, "status")
    (host.root / "journal").write_text(json.dumps(content))
    code, answer = said(host, *verb)
    assert code == 12 and answer["error"]["what"] == "The journal of this host cannot be read"
    assert answer["error"]["got"] and answer["error"]["next_step"]


def test_a_journal_of_a_hundred_thousand_brackets(host: Host) -> None:
    said(host, "status")
    (host.root / "journal").write_bytes(b"[" * 100000)
    code, answer = said(host, "status")
    assert code == 12 and "journal" in answer["error"]["what"]


def test_a_journal_of_the_right_shape_is_read(host: Host) -> None:
    host.root.mkdir()
    path = host.root / "journal"
    path.write_text(json.dumps({"schema_version": 1, "pending": PENDING}))
    assert Journal.read(str(path)).pending == PENDING


def test_an_observation_that_is_none(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.driver.observe = lambda: {"worker_pid": 1, "pools": {"web": {}}}
    code, answer = said(host, *OBSERVE)
    assert code == 10 and "counts" in answer["error"]["got"]


@pytest.mark.parametrize(
    ("verb", "wanted"),
    [
        (("status",), (10, "untouched")),
        (("recover",), (12, "failed")),
        (("confirm", "--change", "c1"), (12, "failed")),
    ],
)
@pytest.mark.parametrize("fault", [RuntimeError("odd \ud800"), RecursionError(), KeyError(1)])
def test_what_nobody_foresaw(host: Host, verb, wanted, fault: Exception) -> None:
    host.deploy("c1", SECOND, confirm=False)

    def broken() -> None:
        raise fault

    host.driver.loaded = host.driver.observe = broken
    code, answer = said(host, *verb)
    assert (code, answer["outcome"]) == wanted
    assert type(fault).__name__ in answer["error"]["got"] and ".py:" in answer["error"]["where"]


def test_a_fault_that_nobody_foresaw_after_the_flip_takes_the_host_back(host: Host) -> None:
    host.prepare("c1", SECOND)
    before, reload = host.live(), host.driver.reload
    host.driver.reload = lambda seconds: {}
    code, answer = host.activate("c1", SECOND)
    host.driver.reload = reload
    assert code in (11, 12) and not answer["ok"]
    host.must("recover")
    assert host.live() == host.driver.running() == before


def test_an_answer_that_is_no_json(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(program.VERBS, "facts", lambda *words: {"odd": {1, 2}})
    code, answer = said(host, "facts")
    assert code == 12 and "TypeError" in answer["error"]["got"]


def test_a_host_without_its_driver(host: Host) -> None:
    def no_driver(balancer: str, steps: Steps) -> None:
        raise SyntaxError("half a file")

    out = io.StringIO()
    words = ["--balancer", "fake", "status"]
    assert program.main(words, io.BytesIO(), out, no_driver, Steps()) == 10
    assert json.loads(out.getvalue())["outcome"] == "untouched"


def test_a_balancer_that_says_no_is_named(host: Host) -> None:
    def down() -> None:
        raise BalancerError("no")

    host.deploy("c1", SECOND)
    host.driver.observe = down
    assert said(host, *OBSERVE)[1]["error"]["where"] == "balancer"


def test_a_text_of_half_a_character_is_written_as_a_whole_one(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(program.VERBS, "facts", lambda *words: {"a": "ä\ud800", "b": "\U0001f600"})
    assert said(host, "facts")[1]["a"] == "ä?"
    assert said(host, "facts")[1]["b"] == "\U0001f600"
