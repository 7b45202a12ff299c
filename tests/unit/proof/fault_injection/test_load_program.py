"""The client counts every request that got no whole answer, and retries only as a browser does."""

import asyncio

import pytest
from evenkeel_proof.fault_injection import load_program

WHOLE = b"HTTP/1.1 200 OK\r\nX-Served-By: web1\r\nContent-Length: 4\r\n\r\ndone"
SHORT = WHOLE[:-2]
ERROR = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def driven(answers, requests):
    """Let a server give `answers`, one list for each connection, and count `requests` requests."""

    async def drive():
        left = [list(one) for one in answers]

        async def serve(reader, writer):
            mine = left.pop(0) if left else []
            for answer in mine:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
            # An idle connection is closed when its answers are used up.
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        counting = load_program.Client("127.0.0.1")

        async def connect(tls):
            loop = asyncio.get_running_loop()
            return (await loop.create_connection(load_program.Connection, "127.0.0.1", port))[1]

        counting.connect = connect
        note = counting._answered, counting._lost

        def stop_after(method):
            def noted(*words):
                method(*words)
                if counting.counted["requests"] >= requests:
                    counting.over.set()

            return noted

        counting._answered, counting._lost = (stop_after(method) for method in note)
        await asyncio.wait_for(counting.run("kept", b"/", True, False), 20)
        server.close()
        return counting.totals()

    return asyncio.run(drive())


def test_whole_answers_are_counted_by_server():
    totals = driven([[WHOLE, WHOLE, WHOLE]], 3)
    assert (totals["requests"], totals["lost"], totals["servers"]) == (3, 0, {"web1": 3})


def test_a_kept_connection_that_closes_before_an_answer_is_retried_once_and_counted_apart():
    totals = driven([[WHOLE], [WHOLE]], 2)
    assert totals["requests"] == 2 and totals["lost"] == 0
    # The close may be seen before the next request is sent: then it is an ordinary new connection.
    assert totals["retried"] <= 1


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([[SHORT]], "short answer"),
        ([[WHOLE, SHORT]], "short answer"),
        ([[ERROR]], "status 503"),
        ([[b""]], "before an answer"),
    ],
)
def test_everything_else_without_a_whole_answer_is_lost(answers, reason):
    totals = driven(answers, sum(map(len, answers)))
    assert totals["lost"] == 1
    assert reason in next(iter(totals["reasons"]))
