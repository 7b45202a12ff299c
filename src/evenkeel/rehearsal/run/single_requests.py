"""Sends single requests and keeps their responses: who answered, and what the server received.

They are sent to both releases in the same words; `checks.answers` compares them. It runs inside
the staging container.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from evenkeel.host.system.driver import Driver
from evenkeel.rehearsal.load.exchange import Answer
from evenkeel.rehearsal.load.load_client import Client
from evenkeel.rehearsal.load.request_maker import SOURCE_PREFIX_6
from evenkeel.rehearsal.plan.requests import MOST_BODY_BYTES, binds, manners, questions
from evenkeel.rehearsal.protocol.headers import ECHO
from evenkeel.rehearsal.protocol.http import endpoint_of
from evenkeel.rehearsal.protocol.measured_types import QuestionAnswer, Questions
from evenkeel.rehearsal.protocol.world_types import Question, RequestClass, World

AT_ONCE = 16
PATIENCE_SECONDS = 4.0
TRIES = 2
# The second half of an upload is this late.
UPLOAD_SECONDS = 1.0
# Headers that users send and servers rely on.
_HEADERS = {
    "User-Agent": "rehearsal",
    "Accept-Language": "en",
    "Authorization": "Bearer rehearsal",
    "Cookie": "rehearsal=1",
    "X-Rehearsal-Probe": "1",
}
_OURS = ("x-evenkeel", "connection", "content-length")
_CLIENTS = ("127.", SOURCE_PREFIX_6)


async def ask(client: Client, driver: Driver, world: World) -> Questions:
    """Send every question, and large requests to every place."""
    observed = await asyncio.to_thread(driver.observe)
    members: dict[str, list[str]] = {}
    owners: dict[str, list[str]] = {}
    for pool, facts in observed["pools"].items():
        for state in facts["servers"].values():
            address = str(state.get("address") or "").strip("[]")
            endpoint = endpoint_of(address, int(state.get("port") or 0))
            names = owners.setdefault(endpoint, [])
            if pool not in names:
                names.append(pool)
                members.setdefault(pool, []).append(endpoint)
    room = asyncio.Semaphore(AT_ONCE)

    async def send(question: Question, h2: bool = False) -> QuestionAnswer:
        async with room:
            answer = await _patiently(client, question, {ECHO: "1", **_HEADERS}, h2=h2)
        return kept(answer, question, owners)

    async def send_large(place: RequestClass) -> dict[str, int | None]:
        size = int(place["largest_header_bytes"])
        headers = {f"X-Rehearsal-{n}": "h" * (size // 8) for n in range(4)}
        headers["Cookie"] = "rehearsal=" + "c" * max(0, size // 2 - 200)
        answer = await _patiently(client, place, headers)
        statuses = {"head": answer.status if answer else None, "body": None}
        body_bytes = min(MOST_BODY_BYTES, int(place["largest_body_bytes"]))
        for _ in range(TRIES):
            sending = client.upload(place, body_bytes, UPLOAD_SECONDS)
            with suppress(TimeoutError):
                answer = await asyncio.wait_for(sending, UPLOAD_SECONDS + PATIENCE_SECONDS)
                if answer and answer.status < 500:
                    statuses["body"] = answer.status
                    break
        return statuses

    asked, ways = questions(world), manners(world)
    places: list[RequestClass] = [{**one, "name": f"port {one['port']}"} for one in binds(world)]
    routes, spoken, limits = await asyncio.gather(
        asyncio.gather(*(send(question) for question in asked)),
        asyncio.gather(*(send(manner, manner["offers_h2"]) for manner in ways)),
        asyncio.gather(*(send_large(place) for place in places)),
    )
    return {
        "routes": {one["name"]: answer for one, answer in zip(asked, routes, strict=True)},
        "manners": {one["name"]: answer for one, answer in zip(ways, spoken, strict=True)},
        "limits": {one["name"]: statuses for one, statuses in zip(places, limits, strict=True)},
        "pools": members,
    }


async def _patiently(
    client: Client, request_class: RequestClass, extra: dict[str, str], *, h2: bool = False
) -> Answer | None:
    """Send until a server answers, or once more: one failure may be chance."""
    answer = None
    for _ in range(TRIES):
        request = client.maker.plain(request_class, extra)
        try:
            sending = client.one(request_class, request, h2=h2)
            answer = await asyncio.wait_for(sending, PATIENCE_SECONDS)
        except TimeoutError:
            answer = None
        if answer and answer.status < 500:
            break
    return answer


def kept(answer: Answer | None, question: Question, owners: dict[str, list[str]]) -> QuestionAnswer:
    """Give the parts of a response that can be compared with another."""
    made: QuestionAnswer = {
        "asked": question["asked"],
        "status": answer.status if answer else None,
        "version": answer.version if answer else "",
        "server": answer.server if answer else "",
        "pools": owners.get(answer.server, []) if answer else [],
    }
    try:
        echo = json.loads(answer.body) if answer and answer.server else None
    except ValueError:
        echo = None
    if echo:
        made["line"] = echo["line"]
        made["proxy"] = str(echo["proxy"]).partition(" ")[0]
        made["headers"] = {
            name: "the client" if value.split(",")[-1].strip().startswith(_CLIENTS) else value
            for name, value in echo["headers"].items()
            if not name.startswith(_OURS)
        }
    return made
