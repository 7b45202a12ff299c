"""The load client: many source addresses, kept and new connections, counts per server.

The response itself names the server that gave it. It runs inside the staging container.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from evenkeel.rehearsal.load.event_loop import Connections, Sockets
from evenkeel.rehearsal.load.exchange import Answer, Exchange, NoAnswer, Way, server_name
from evenkeel.rehearsal.load.request_maker import Maker, Request
from evenkeel.rehearsal.protocol.headers import ECHO, HOLD
from evenkeel.rehearsal.protocol.measured_types import Tallies, TallyRecord
from evenkeel.rehearsal.protocol.world_types import RequestClass, RequestTemplate, TestRequest

# Give up a class after this many failures in a row.
HOPELESS = 96


@dataclass
class Tally:
    """What became of the requests of one class."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    diverted: int = 0
    again: int = 0
    servers: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def note(self, answer: Answer, seconds: float) -> None:
        """Count a response; a redirect or a request for a password is neither failure nor share."""
        self.statuses[str(answer.status)] += 1
        self.versions[answer.version] += 1
        self.seconds.append(seconds)
        if answer.status < 400 and answer.server:
            self.answered += 1
            self.servers[answer.server] += 1
        elif 300 <= answer.status < 400 or answer.status == 401:
            self.diverted += 1
        else:
            self.failed += 1
            self.errors[f"status {answer.status}"] += 1

    def as_record(self) -> TallyRecord:
        """Give the counts; times are in milliseconds."""
        times = sorted(self.seconds)

        def at(part: float) -> float | None:
            return round(times[int(part * (len(times) - 1))] * 1000, 1) if times else None

        return {
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failed,
            "diverted": self.diverted,
            "again": self.again,
            "servers": dict(self.servers),
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "versions": dict(self.versions),
            "milliseconds": {"median": at(0.5), "p95": at(0.95), "largest": at(1.0)},
        }


class Kept:
    """The connections that one client keeps."""

    def __init__(self) -> None:
        self.connections = Connections()
        self.places: set[tuple[object, ...]] = set()

    def close(self) -> None:
        """Close all of them: the client leaves."""
        self.connections.close()


class Client:
    """Sends requests and counts what becomes of them, per class."""

    def __init__(self, seed: int) -> None:
        self.maker = Maker(seed)
        self.tallies: dict[str, Tally] = {}
        self.failures_in_a_row: dict[str, int] = {}

    async def one(
        self,
        request_class: RequestTemplate,
        request: Request,
        kept: Kept | None = None,
        *,
        h2: bool = False,
    ) -> Answer | None:
        """Send one request and count it; None without a response.

        Without `kept` it uses a new connection and closes it. `h2` offers HTTP/2; the
        listener chooses.
        """
        tally = self.tallies.get(request_class["name"]) or self.tallies.setdefault(
            request_class["name"], Tally()
        )
        tally.sent += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self._send(_way(request_class, request, h2), request, kept, tally)
        except NoAnswer as error:
            tally.failed += 1
            tally.errors[str(error)] += 1
            self.failures_in_a_row[request_class["name"]] = (
                self.failures_in_a_row.get(request_class["name"], 0) + 1
            )
            return None
        tally.note(answer, loop.time() - began)
        self.failures_in_a_row[request_class["name"]] = (
            0 if answer.server else self.failures_in_a_row.get(request_class["name"], 0) + 1
        )
        return answer

    async def _send(self, way: Way, request: Request, kept: Kept | None, tally: Tally) -> Answer:
        """Send a request and give its response; raises NoAnswer.

        A request on a kept connection that closed before a byte of the response is sent
        again on a new one, as every client does (RFC 9110, 9.2.2); libcurl does most of
        that itself.
        """
        connections = kept.connections if kept else Sockets.of_running_loop().for_once()
        place = way.place
        is_open = kept is not None and place in kept.places
        exchange = connections.exchange()
        try:
            exchange.prepare(way, request, fresh=not is_open, keep=kept is not None)
            try:
                await connections.send(exchange)
            except NoAnswer as error:
                if not (is_open and error.died):
                    raise
                exchange.prepare(way, request, fresh=True, keep=True)
                await connections.send(exchange)
            return exchange.answer()
        finally:
            tally.again += is_open and exchange.connected
            if kept:
                (kept.places.add if exchange.kept else kept.places.discard)(place)
            connections.idle.append(exchange)

    async def upload(
        self, request_class: RequestClass, body_bytes: int, late_seconds: float
    ) -> Answer | None:
        """Send a body in two halves, the second one late, uncounted; None without a response."""
        request = replace(self.maker.plain(request_class), method="POST")
        connections, exchange = Sockets.of_running_loop().for_once(), Exchange()
        exchange.prepare(_way(request_class, request), request, fresh=True, keep=False)
        go_on = exchange.late(body_bytes, body_bytes // 2)
        sending = asyncio.create_task(connections.send(exchange))
        try:
            await asyncio.wait({sending}, timeout=late_seconds)
            if not sending.done():
                go_on()
                connections.settle()
            await sending
            return exchange.answer()
        except NoAnswer:
            return None
        finally:
            sending.cancel()
            await asyncio.wait({sending})
            exchange.close()

    async def run(
        self,
        classes: Iterable[RequestClass],
        *,
        concurrency: int,
        seconds: float,
        pause: float = 0.0,
        heard: Callable[[RequestClass, Answer], None] | None = None,
    ) -> None:
        """Send one request for each class that `classes` yields, `concurrency` at a time.

        It ends with `classes` or after `seconds`, and gives up a class that fails on and
        on. With `pause`, the seconds between two requests of one client, it is a steady
        load that never gives up. The maker decides which requests share a connection
        (`visits`); of those that do, and of those that do not, every second offers HTTP/2.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        visits = self.maker.visits(classes, flush=not pause)
        turns: Counter[bool] = Counter()

        async def client() -> None:
            for visit in visits:
                keeps = len(visit) > 1
                turns[keeps] += 1
                h2 = bool(turns[keeps] % 2)
                kept = Kept() if keeps else None
                for request_class, request in visit:
                    if loop.time() > deadline:
                        break
                    if (
                        not pause
                        and self.failures_in_a_row.get(request_class["name"], 0) >= HOPELESS
                    ):
                        continue
                    answer = await self.one(
                        request_class, request, kept, h2=h2 and request_class["h2"]
                    )
                    if answer and heard:
                        heard(request_class, answer)
                    if pause:
                        await asyncio.sleep(pause)
                if kept:
                    kept.close()
                if loop.time() > deadline:
                    break

        await asyncio.gather(*(client() for _ in range(concurrency)))

    async def peak(self, request_class: RequestClass, wanted: int) -> None:
        """Send `wanted` concurrent requests of one class; the stubs count them."""
        extra = {HOLD: str(wanted)}
        await asyncio.gather(
            *(
                self.one(request_class, self.maker.request(request_class, extra))
                for _ in range(wanted)
            )
        )

    async def echo(self, test: TestRequest) -> Answer | None:
        """Send the request of a route test and read its headers back."""
        return await self.one(test, self.maker.of_test(test, {ECHO: "1"}))

    def take(self) -> Tallies:
        """Give the counts per class and start again."""
        taken = {name: tally.as_record() for name, tally in sorted(self.tallies.items())}
        self.tallies.clear()
        self.failures_in_a_row.clear()
        return taken


def _way(request_class: RequestTemplate, request: Request, h2: bool = False) -> Way:
    return Way(
        request.source,
        request_class["address"],
        request_class["port"],
        name=server_name(request, request_class["hosts"][0]) if request_class["tls"] else None,
        h2=h2,
        proxy=request_class["accept_proxy"],
    )
