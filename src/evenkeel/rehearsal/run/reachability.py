"""Scouting: what users ask for is tried once, before traffic is counted.

A configuration may refuse or redirect what users also ask for, by a rule that no route shows: an
address that is closed, a method that is not taken. Such requests are no traffic of a pool; see
`scouted` for what is made of the answers. Runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from evenkeel.rehearsal.load.load_client import Client
from evenkeel.rehearsal.load.request_maker import with_a_larger_body
from evenkeel.rehearsal.plan.reachable import to_try
from evenkeel.rehearsal.protocol.measured_types import Reached, Response
from evenkeel.rehearsal.protocol.world_types import RequestClass

AT_ONCE = 32
TRIES = 2
PATIENCE_SECONDS = 4.0
# All entries that are tried; what nobody tried and no user is known to send is left out.
MOST_TRIED = 2000


async def scout(client: Client, classes: Sequence[RequestClass]) -> Reached:
    """Try the entries of every class and give what answered each."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(request_class: RequestClass, number: int) -> Response:
        alone: RequestClass = {**request_class, "mix": [request_class["mix"][number]]}
        said: Response = (None, "")
        async with room:
            for attempt in range(TRIES):
                request = client.maker.request(alone, number=number + attempt * MOST_TRIED)
                request = with_a_larger_body(request, int(request_class["largest_body_bytes"]))
                try:
                    answer = await asyncio.wait_for(client.one(alone, request), PATIENCE_SECONDS)
                except TimeoutError:
                    continue
                said = (answer.status, answer.server) if answer else said
                if answer and answer.status < 500:
                    break
        return said

    wanted = [
        (request_class, number) for request_class in classes for number in to_try(request_class)
    ][:MOST_TRIED]
    answers = await asyncio.gather(
        *(one(request_class, number) for request_class, number in wanted)
    )
    found: Reached = {}
    for (request_class, number), said in zip(wanted, answers, strict=True):
        found.setdefault(request_class["name"], {})[str(number)] = said
    return found
