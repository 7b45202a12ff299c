"""Single questions whose whole answer is kept: who answered, and what that server was told.

Asked of what was live and of the candidate in the same words; `question_checks` compares. Runs
inside the staging container.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from evenkeel.host.system.driver import Driver
from evenkeel.rehearsal.load.client import Client
from evenkeel.rehearsal.load.exchange import Answer
from evenkeel.rehearsal.load.request_maker import SOURCE_PREFIX_6
from evenkeel.rehearsal.plan.requests import MOST_BODY_BYTES, binds, manners, questions
from evenkeel.rehearsal.protocol.headers import ECHO
from evenkeel.rehearsal.protocol.http import endpoint

AT_ONCE = 16
PATIENCE_SECONDS = 4.0
TRIES = 2
# A user's line is slow: so long the second half of a body is on its way.
UPLOAD_SECONDS = 1.0
# What users send along and servers rely on.
_TOLD = {
    "User-Agent": "rehearsal",
    "Accept-Language": "en",
    "Authorization": "Bearer rehearsal",
    "Cookie": "rehearsal=1",
    "X-Rehearsal-Probe": "1",
}
_OURS = ("x-evenkeel", "connection", "content-length")
_CLIENTS = ("127.", SOURCE_PREFIX_6)


async def ask(client: Client, driver: Driver, world: dict[str, Any]) -> dict[str, Any]:
    """Ask every question; gives {question: what came} of each kind, and the pools' endpoints."""
    pools = _pools(await asyncio.to_thread(driver.observe))
    room = asyncio.Semaphore(AT_ONCE)

    async def one(kind: dict[str, Any]) -> dict[str, Any]:
        async with room:
            return _told(await _patient(client, kind, {ECHO: "1", **_TOLD}), kind, pools)

    async def large(kind: dict[str, Any]) -> dict[str, Any]:
        return {"head": await _head(client, kind), "body": await _upload(client, kind)}

    async def all_of(kinds: list[dict[str, Any]], how: Any) -> dict[str, Any]:
        answers = await asyncio.gather(*(how(kind) for kind in kinds))
        return {kind["name"]: answer for kind, answer in zip(kinds, answers, strict=True)}

    places = [{**kind, "name": f"port {kind['port']}"} for kind in binds(world)]
    web = [kind for kind in places if kind.get("http", True)]
    found = await asyncio.gather(
        all_of(questions(world), one), all_of(manners(world), one), all_of(web, large)
    )
    members: dict[str, list[str]] = {}
    for here, names in pools.items():
        for name in names:
            members.setdefault(name, []).append(here)
    told = dict(zip(("routes", "manners", "limits"), found, strict=True))
    return {**told, "pools": members}


async def _patient(client: Client, kind: dict[str, Any], extra: dict[str, str]) -> Answer | None:
    """Ask until a server answers, or once more: one request may have had bad luck."""
    answer = None
    for _ in range(TRIES):
        request = client.maker.request(kind, extra, vary=False)
        try:
            asking = client.one(kind, request, h2=bool(kind.get("offers_h2")))
            answer = await asyncio.wait_for(asking, PATIENCE_SECONDS)
        except TimeoutError:
            answer = None
        if answer and answer.status < 500:
            break
    return answer


def _told(
    answer: Answer | None, kind: dict[str, Any], pools: dict[str, list[str]]
) -> dict[str, Any]:
    """Keep of an answer what can be compared with another."""
    told: dict[str, Any] = {
        "asked": kind["asked"],
        "status": answer.status if answer else None,
        "version": answer.version if answer else "",
        "server": answer.server if answer else "",
        "pools": pools.get(answer.server, []) if answer else [],
    }
    try:
        echo = json.loads(answer.body) if answer and answer.server else None
    except ValueError:
        echo = None
    if echo:
        told["line"] = echo["line"]
        told["proxy"] = str(echo["proxy"]).partition(" ")[0]
        told["headers"] = {
            name: "the client" if value.split(",")[-1].strip().startswith(_CLIENTS) else value
            for name, value in echo["headers"].items()
            if not name.startswith(_OURS)
        }
    return told


async def _head(client: Client, kind: dict[str, Any]) -> int | None:
    """Send a request with a large head; gives the status, None without an answer."""
    size = int(kind["largest_header_bytes"])
    parts = {f"X-Rehearsal-{n}": "h" * (size // 8) for n in range(4)}
    cookie = {"Cookie": "rehearsal=" + "c" * max(0, size // 2 - 200)}
    answer = await _patient(client, kind, {**parts, **cookie})
    return answer.status if answer else None


async def _upload(client: Client, kind: dict[str, Any]) -> int | None:
    """Send a body in two halves, the second one late; gives the status, None without an answer."""
    body_bytes = min(MOST_BODY_BYTES, int(kind["largest_body_bytes"]))
    for _ in range(TRIES):
        try:
            asking = client.upload(kind, body_bytes, UPLOAD_SECONDS)
            answer = await asyncio.wait_for(asking, UPLOAD_SECONDS + PATIENCE_SECONDS)
        except TimeoutError:
            continue
        if answer and answer.status < 500:
            return answer.status
    return None


def _pools(observed: dict[str, Any]) -> dict[str, list[str]]:
    """Give the names of the pools that each endpoint is in."""
    found: dict[str, list[str]] = {}
    for pool, facts in observed["pools"].items():
        for state in facts["servers"].values():
            address = str(state.get("address") or "").strip("[]")
            here = endpoint(address, int(state.get("port") or 0))
            names = found.setdefault(here, [])
            if pool not in names:
                names.append(pool)
    return found
