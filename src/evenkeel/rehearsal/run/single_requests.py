"""Single questions whose whole answer is kept: who answered, and what that server was told.

Asked of what was live and of the candidate in the same words; `question_checks` compares. Runs
inside the staging container.
"""

from __future__ import annotations

import asyncio
import json

from evenkeel.host.system.driver import Driver, Observation
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


async def ask(client: Client, driver: Driver, world: World) -> Questions:
    """Ask every question; gives {question: what came} of each kind, and the pools' endpoints."""
    pools = _pools(await asyncio.to_thread(driver.observe))
    room = asyncio.Semaphore(AT_ONCE)

    async def one(request_class: Question, h2: bool = False) -> QuestionAnswer:
        async with room:
            return _told(
                await _patient(client, request_class, {ECHO: "1", **_TOLD}, h2=h2),
                request_class,
                pools,
            )

    async def large(request_class: RequestClass) -> dict[str, int | None]:
        return {
            "head": await _head(client, request_class),
            "body": await _upload(client, request_class),
        }

    asked, ways = questions(world), manners(world)
    places: list[RequestClass] = [
        {**request_class, "name": f"port {request_class['port']}"} for request_class in binds(world)
    ]
    answers, spoken, limits = await asyncio.gather(
        asyncio.gather(*(one(request_class) for request_class in asked)),
        asyncio.gather(*(one(request_class, request_class["offers_h2"]) for request_class in ways)),
        asyncio.gather(*(large(request_class) for request_class in places)),
    )
    members: dict[str, list[str]] = {}
    for endpoint, names in pools.items():
        for name in names:
            members.setdefault(name, []).append(endpoint)
    return {
        "routes": {
            request_class["name"]: answer
            for request_class, answer in zip(asked, answers, strict=True)
        },
        "manners": {
            request_class["name"]: answer
            for request_class, answer in zip(ways, spoken, strict=True)
        },
        "limits": {
            request_class["name"]: answer
            for request_class, answer in zip(places, limits, strict=True)
        },
        "pools": members,
    }


async def _patient(
    client: Client, request_class: RequestClass, extra: dict[str, str], *, h2: bool = False
) -> Answer | None:
    """Ask until a server answers, or once more: one request may have had bad luck."""
    answer = None
    for _ in range(TRIES):
        request = client.maker.plain(request_class, extra)
        try:
            asking = client.one(request_class, request, h2=h2)
            answer = await asyncio.wait_for(asking, PATIENCE_SECONDS)
        except TimeoutError:
            answer = None
        if answer and answer.status < 500:
            break
    return answer


def _told(
    answer: Answer | None, request_class: Question, pools: dict[str, list[str]]
) -> QuestionAnswer:
    """Keep of an answer what can be compared with another."""
    told: QuestionAnswer = {
        "asked": request_class["asked"],
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


async def _head(client: Client, request_class: RequestClass) -> int | None:
    """Send a request with a large head; gives the status, None without an answer."""
    size = int(request_class["largest_header_bytes"])
    parts = {f"X-Rehearsal-{n}": "h" * (size // 8) for n in range(4)}
    cookie = {"Cookie": "rehearsal=" + "c" * max(0, size // 2 - 200)}
    answer = await _patient(client, request_class, {**parts, **cookie})
    return answer.status if answer else None


async def _upload(client: Client, request_class: RequestClass) -> int | None:
    """Send a body in two halves, the second one late; gives the status, None without an answer."""
    body_bytes = min(MOST_BODY_BYTES, int(request_class["largest_body_bytes"]))
    for _ in range(TRIES):
        try:
            asking = client.upload(request_class, body_bytes, UPLOAD_SECONDS)
            answer = await asyncio.wait_for(asking, UPLOAD_SECONDS + PATIENCE_SECONDS)
        except TimeoutError:
            continue
        if answer and answer.status < 500:
            return answer.status
    return None


def _pools(observed: Observation) -> dict[str, list[str]]:
    """Give the names of the pools that each endpoint is in."""
    found: dict[str, list[str]] = {}
    for pool, facts in observed["pools"].items():
        for state in facts["servers"].values():
            address = str(state.get("address") or "").strip("[]")
            endpoint = endpoint_of(address, int(state.get("port") or 0))
            names = found.setdefault(endpoint, [])
            if pool not in names:
                names.append(pool)
    return found
