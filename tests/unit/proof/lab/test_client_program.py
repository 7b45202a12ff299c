"""Every request is counted once, and a failure is told from a closed idle connection."""

import socket
import threading

import pytest
from evenkeel_proof.lab.client_program import Totals, Worker, start_workers

GOOD = b"HTTP/1.1 200 OK\r\nX-Served-By: web1\r\nContent-Length: 2\r\n\r\nok"


class Balancer:
    """Plays one script: for each connection, the answers that it gives before it closes."""

    def __init__(self, *connections):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.closed = threading.Semaphore(0)
        threading.Thread(target=self._play, args=(connections,), daemon=True).start()

    def _play(self, connections):
        for answers in connections:
            connection = self._socket.accept()[0]
            threading.Thread(target=self._answer, args=(connection, answers), daemon=True).start()

    def _answer(self, connection, answers):
        with connection:
            for answer in answers:
                heard = b""
                while b"\r\n\r\n" not in heard:
                    more = connection.recv(4096)
                    if not more:
                        return
                    heard += more
                connection.sendall(answer)
        self.closed.release()


def client(balancer, keeps=True):
    totals = Totals(["lb1"])
    over = threading.Event()
    return totals, Worker(totals, over, ("lb1", balancer.address), period=1, phase=0, keeps=keeps)


def counts(totals):
    read = totals.read()
    return {name: read[name] for name in ("requests", "failed", "retried")}


def test_an_answer_is_counted_for_its_balancer_and_its_server():
    totals, worker = client(Balancer([GOOD, GOOD]))
    worker.send("/")
    worker.send("/")
    assert counts(totals) == {"requests": 2, "failed": 0, "retried": 0}
    assert totals.read()["balancers"]["lb1"]["servers"] == {"web1": 2}


def test_a_kept_connection_that_was_closed_while_idle_is_retried_and_is_no_failure():
    balancer = Balancer([GOOD], [GOOD])
    totals, worker = client(balancer)
    worker.send("/")
    assert balancer.closed.acquire(timeout=5)
    worker.send("/")
    assert counts(totals) == {"requests": 2, "failed": 0, "retried": 1}


def test_a_retry_that_fails_too_is_one_failed_request():
    balancer = Balancer([GOOD], [b""])
    totals, worker = client(balancer)
    worker.send("/")
    assert balancer.closed.acquire(timeout=5)
    worker.send("/")
    assert counts(totals) == {"requests": 2, "failed": 1, "retried": 1}


def test_a_new_connection_that_is_closed_without_an_answer_is_a_failure():
    totals, worker = client(Balancer([b""]))
    worker.send("/")
    assert counts(totals) == {"requests": 1, "failed": 1, "retried": 0}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (GOOD.replace(b"200 OK", b"503 Service Unavailable"), "status 503"),
        (GOOD.replace(b"X-Served-By", b"X-Other"), "not from a web server"),
        (GOOD.replace(b"Length: 2", b"Length: 9"), "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nX-Serv", ""),
        (b"nonsense\r\n\r\n", "BadStatusLine"),
    ],
)
def test_what_is_no_whole_answer_from_a_web_server_is_a_failure_with_its_reason(answer, reason):
    totals, worker = client(Balancer([answer]))
    worker.send("/api")
    assert counts(totals) == {"requests": 1, "failed": 1, "retried": 0}
    sample = totals.read()["samples"][0]
    assert (sample["balancer"], sample["path"]) == ("lb1", "/api")
    assert reason in sample["reason"]


def test_half_an_answer_on_a_kept_connection_is_never_retried():
    totals, worker = client(Balancer([GOOD, GOOD[:-1]], [GOOD]))
    worker.send("/")
    worker.send("/")
    assert counts(totals) == {"requests": 2, "failed": 1, "retried": 0}


def test_a_refused_connection_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    totals = Totals(["lb1"])
    balancer = ("lb1", f"127.0.0.1:{port}")
    Worker(totals, threading.Event(), balancer, period=1, phase=0, keeps=True).send("/")
    assert "refused" in next(iter(totals.read()["reasons"]))


def test_a_client_that_keeps_nothing_opens_a_connection_for_each_request():
    totals, worker = client(Balancer([GOOD], [GOOD], [GOOD]), keeps=False)
    for _ in range(3):
        worker.send("/")
    assert counts(totals) == {"requests": 3, "failed": 0, "retried": 0}


def test_workers_stop_when_told_and_every_request_that_began_is_counted():
    balancer = Balancer(*[[GOOD] * 50] * 200)
    totals, over = Totals(["lb1"]), threading.Event()
    workers = start_workers(totals, over, {"lb1": balancer.address}, rate=400)
    while totals.read()["requests"] < 20:
        assert not over.wait(0.01)
    over.set()
    for worker in workers:
        worker.join(5)
    assert not any(worker.is_alive() for worker in workers)
    read = totals.read()
    assert sum(read["balancers"]["lb1"]["servers"].values()) == read["requests"] - read["failed"]
