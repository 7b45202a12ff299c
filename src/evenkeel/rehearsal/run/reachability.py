"""Tries what users send once, before traffic is counted.

A configuration may refuse or redirect some requests by a rule that no route shows: a closed
address, a method that is not allowed. These are no traffic of a pool; `plan.reachable` uses the
responses. It runs inside the staging container.
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
# Entries that are tried; others are left out.
MOST_TRIED = 2000


async def scout(client: Client, classes: Sequence[RequestClass]) -> Reached:
    """Try the entries of every class and give the response to each."""
    room = asyncio.Semaphore(AT_ONCE)

    async def response_to(request_class: RequestClass, number: int) -> Response:
        alone: RequestClass = {**request_class, "mix": [request_class["mix"][number]]}
        response: Response = (None, "")
        async with room:
            for attempt in range(TRIES):
                request = client.maker.request(alone, number=number + attempt * MOST_TRIED)
                request = with_a_larger_body(request, int(request_class["largest_body_bytes"]))
                try:
                    answer = await asyncio.wait_for(client.one(alone, request), PATIENCE_SECONDS)
                except TimeoutError:
                    continue
                response = (answer.status, answer.server) if answer else response
                if answer and answer.status < 500:
                    break
        return response

    wanted = [(one, number) for one in classes for number in to_try(one)][:MOST_TRIED]
    responses = await asyncio.gather(*(response_to(*entry) for entry in wanted))
    reached: Reached = {}
    for (request_class, number), response in zip(wanted, responses, strict=True):
        reached.setdefault(request_class["name"], {})[str(number)] = response
    return reached
