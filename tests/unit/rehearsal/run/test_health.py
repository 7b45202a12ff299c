"""Health checks are answered as what is live wants them while it runs, then as the candidate."""

import asyncio

import pytest

from evenkeel.rehearsal.run import container
from evenkeel.rehearsal.run.main import Rehearsal

WORLD = {
    "health": {"10.0.0.1:80": {"/up": 204}},
    "live_health": {"10.0.0.1:80": {"/up": 200}},
    "stubs": [],
    "nameservers": [],
    "names": {},
    "speaks": {},
    "over_tls": [],
}


class Told(list):
    """Stub servers and a host's program that note, in their order, what they are told."""

    def serve(self, stubs, *, health, **others):
        self.append(health)
        return {"missing": []}

    async def activate(self):
        self.append("activate")

    async def call(self, verb):
        self.append(verb)


@pytest.mark.parametrize(("step", "verb", "key"), [
    ("activate", "activate", "health"), ("rollback", "rollback", "live_health"),
])  # fmt: skip
def test_the_answers_change_before_the_reload_that_asks_for_them(step, verb, key):
    rehearsal = Rehearsal.__new__(Rehearsal)
    rehearsal.world, told = WORLD, Told()
    rehearsal.stubs = rehearsal.host = told
    asyncio.run(getattr(rehearsal, step)())
    assert told == [WORLD[key], verb]


@pytest.mark.parametrize(("release", "key"), [("5f1a", "live_health"), (None, "health")])
def test_the_stubs_start_with_the_answers_for_what_runs_first(monkeypatch, release, key):
    told = Told()
    monkeypatch.setattr(container, "run", lambda words: None)
    monkeypatch.setattr(container, "StubControl", lambda path: told)
    container.start_stubs({**WORLD, "base": {"release": release}})
    assert told == [WORLD[key]]
