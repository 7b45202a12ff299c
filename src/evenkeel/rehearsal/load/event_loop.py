"""Moves the bytes of exchanges: libcurl's multi interface, driven by the event loop.

All sockets of libcurl are in one epoll, which the event loop watches: a socket that opens or closes
costs the loop nothing. It runs inside the staging container.
"""

from __future__ import annotations

import asyncio
import select
from weakref import WeakKeyDictionary

import pycurl

from evenkeel.rehearsal.load.exchange import Exchange

_EVENTS_AT_ONCE = 256
_KEPT_AT_MOST = 256
_FIRED = {select.EPOLLIN: pycurl.CSELECT_IN, select.EPOLLOUT: pycurl.CSELECT_OUT}
_WANTED = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_BOTH = pycurl.CSELECT_IN | pycurl.CSELECT_OUT


class Sockets:
    """The sockets that libcurl waits for in one event loop, and their owners."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.epoll = select.epoll()
        self.owners: dict[int, Connections] = {}
        self.idle: list[Exchange] = []
        self.once: Connections | None = None
        loop.add_reader(self.epoll.fileno(), self._ready)

    @classmethod
    def of_running_loop(cls) -> Sockets:
        """Give the sockets of the running event loop."""
        loop = asyncio.get_running_loop()
        known = _of_loops.get(loop)
        if known is None:
            known = _of_loops[loop] = cls(loop)
        return known

    def watch(self, number: int, events: int, owner: Connections) -> None:
        """Wait for `events` of a socket; no events forget it."""
        known = self.owners.get(number)
        if not events:
            if known is not None:
                del self.owners[number]
                self.epoll.unregister(number)
        elif known is None:
            self.epoll.register(number, events)
            self.owners[number] = owner
        else:
            self.epoll.modify(number, events)

    def for_once(self) -> Connections:
        """Give the owner of connections that no client keeps."""
        if self.once is None:
            self.once = Connections()
        return self.once

    def _ready(self) -> None:
        sets = {}
        for number, events in self.epoll.poll(0, _EVENTS_AT_ONCE):
            owner = self.owners.get(number)
            if owner is not None:
                # The reader or writer meets errors and ends itself.
                owner.act(number, _FIRED.get(events, _BOTH))
                sets[owner] = True
        for owner in sets:
            owner.settle()


class Connections:
    """The connections of one client, or of many that keep none."""

    def __init__(self) -> None:
        self.sockets = Sockets.of_running_loop()
        self.loop = asyncio.get_running_loop()
        self.under_way: dict[pycurl.Curl, tuple[Exchange, asyncio.Future[None]]] = {}
        self.idle: list[Exchange] = []
        self.due: float | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAXCONNECTS, _KEPT_AT_MOST)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)

    def exchange(self) -> Exchange:
        """Give a free exchange: the one that was used last, or a new one."""
        idle = self.idle or self.sockets.idle
        return idle.pop() if idle else Exchange()

    async def send(self, exchange: Exchange) -> None:
        """Send a prepared exchange's request and wait for its response; raises NoAnswer.

        A cancelled exchange is removed, and its connection closed.
        """
        future = self.loop.create_future()
        self.under_way[exchange.curl] = exchange, future
        self.multi.add_handle(exchange.curl)
        try:
            self.act(pycurl.SOCKET_TIMEOUT, 0)
            self.settle()
            await future
        finally:
            if self.under_way.pop(exchange.curl, None):
                self.multi.remove_handle(exchange.curl)
                self.settle()

    def act(self, number: int, fired: int) -> None:
        """Let libcurl act on one socket, or on the time."""
        self.multi.socket_action(number, fired)

    def settle(self) -> None:
        """Finish exchanges that have ended, and schedule the next call at libcurl's time."""
        left = 1
        while left:
            left, good, bad = self.multi.info_read()
            for curl in good:
                self._end(curl, 0, "")
            for curl, code, message in bad:
                self._end(curl, code, message)
        if self.due is not None and (self.timer is None or self.timer.when() > self.due):
            if self.timer is not None:
                self.timer.cancel()
            self.timer = self.loop.call_at(self.due, self._on_time)

    def close(self) -> None:
        """Close every kept connection."""
        if self.timer is not None:
            self.timer.cancel()
        self.multi.close()
        self.sockets.idle += self.idle
        self.idle = []
        for number in [n for n, owner in self.sockets.owners.items() if owner is self]:
            del self.sockets.owners[number]

    def _end(self, curl: pycurl.Curl, code: int, message: str) -> None:
        exchange, future = self.under_way.pop(curl)
        exchange.ended()
        self.multi.remove_handle(curl)
        if future.done():
            return
        if code:
            future.set_exception(exchange.failure(code, message))
        else:
            future.set_result(None)

    def _on_socket(self, what: int, number: int, multi: object, data: object) -> None:
        del multi, data
        self.sockets.watch(number, _WANTED.get(what, 0), self)

    def _on_timer(self, milliseconds: int) -> None:
        self.due = None if milliseconds < 0 else self.loop.time() + milliseconds / 1000

    def _on_time(self) -> None:
        self.timer = None
        if self.due is not None and self.due <= self.loop.time():
            self.due = None
            self.act(pycurl.SOCKET_TIMEOUT, 0)
        # Schedule a later time again.
        self.settle()


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Sockets] = WeakKeyDictionary()
