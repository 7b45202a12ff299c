"""The single requests that are sent to both the base and the candidate: pure functions.

A question is one request, sent in the same words before and after, so that the change explains any
difference. Hosts and paths come from the candidate's classes and from the words of both files, so
that a removed route is tried too.
Standard library only: it runs inside the staging container too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from evenkeel.rehearsal.protocol.world_types import (
    Manner,
    Question,
    RequestClass,
    RequestTemplate,
    RouteTest,
    Subject,
    TestRequest,
    Words,
    World,
)

MOST_WORDS = 60
MOST_QUESTIONS = 300
# RFC 6761: no route can be meant for this name.
ANY_HOST = "rehearsal.invalid"
# A larger upload measures the container.
MOST_BODY_BYTES = 4 * 1024 * 1024
# Only these hosts are combined with every path.
_MAIN_HOSTS = 3
_REDIRECT = 300
_PLACEHOLDER = re.compile(r"\{[a-z]+\}")
_PATH = re.compile(r"/[A-Za-z0-9_./-]{0,120}")
_HOST = re.compile(r"\.?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.[a-z]{2,24}")
# Paths of the balancer's own files and sockets.
_FILES = ("/etc/", "/var/", "/dev/", "/run/", "/usr/", "/tmp/")  # noqa: S108 (no file is made)


def words_of(text: str) -> Words:
    """Give the words of a configuration that could be URL paths and host names, each once."""
    paths: dict[str, None] = {}
    hosts: dict[str, None] = {}
    for line in text.splitlines():
        for word in line.partition("#")[0].replace(",", " ").split():
            word = word.strip("\"'{}()")
            if _PATH.fullmatch(word) and not word.startswith(_FILES):
                paths[word] = None
            elif _HOST.fullmatch(word):
                hosts[word] = None
    return {"paths": list(paths)[:MOST_WORDS], "hosts": list(hosts)[:MOST_WORDS]}


def words_of_all(texts: Iterable[str]) -> Words:
    """Give the words of several files together, in their order."""
    of_files = [words_of(text) for text in texts]
    return {
        "paths": list(dict.fromkeys(path for words in of_files for path in words["paths"])),
        "hosts": list(dict.fromkeys(host for words in of_files for host in words["hosts"])),
    }


def binds(world: World) -> list[RequestClass]:
    """Give the first class of each place that clients arrive at."""
    firsts: dict[tuple[str, int], RequestClass] = {}
    for request_class in world["classes"]:
        firsts.setdefault(_place(request_class), request_class)
    return list(firsts.values())


def questions(world: World) -> list[Question]:
    """Give questions of one host and one path each; the name says what is asked for."""
    by_name: dict[str, Question] = {}
    for bind in binds(world):
        classes = [one for one in world["classes"] if _place(one) == _place(bind)]
        pairs: list[tuple[str, str, Mapping[str, str]]] = [
            (host, path, one["headers"])
            for one in classes
            for host in one["hosts"]
            for path, _ in one["paths"]
        ]
        pairs += [(_a_host(host), "/", {}) for host in world["words"]["hosts"]]
        hosts = dict.fromkeys(host for one in classes for host in one["hosts"])
        pairs += [
            (host, path, {})
            for path in ("/", *world["words"]["paths"])
            for host in list(hosts)[:_MAIN_HOSTS]
        ]
        for host, path, headers in pairs:
            more = "".join(f" {name}: {value}" for name, value in sorted(headers.items()))
            name = f"port {bind['port']} {host}{path}{more}"
            by_name[name] = _question(bind, name, host, path, headers)
    return list(by_name.values())[:MOST_QUESTIONS]


def manners(world: World) -> list[Manner]:
    """Give one question for each way to speak to each place: TLS, HTTP/2, a PROXY header."""
    made: list[Manner] = []
    for bind in binds(world):
        ways = {"plain": (False, False), "TLS": (True, False)}
        if bind["h2"]:
            ways["TLS with HTTP/2"] = True, True
        for way, (tls, h2) in ways.items():
            for proxy in (False, True):
                spoken = way + (" after a PROXY header" if proxy else "")
                name = f"port {bind['port']} spoken to in {spoken}"
                host, (path, _) = bind["hosts"][0], bind["paths"][0]
                question = _question(bind, name, host, path, bind["headers"])
                made.append({**question, "tls": tls, "accept_proxy": proxy, "offers_h2": h2})
    return made


def _place(template: RequestTemplate) -> tuple[str, int]:
    return template["address"], template["port"]


def _a_host(word: str) -> str:
    """Give a host name for a word; one that begins with a dot means every name below it."""
    return f"rehearsal{word}" if word.startswith(".") else word


def _question(
    bind: RequestClass, name: str, host: str, path: str, headers: Mapping[str, str]
) -> Question:
    return {
        **bind,
        "name": name,
        "hosts": [host],
        "paths": [(path, False)],
        "headers": dict(headers),
        "asked": {
            "listener": bind["listener"],
            "host": host,
            "path": path,
            "headers": dict(headers),
        },
        "may_keep": False,
    }


def untested(world: World) -> dict[str, list[str]]:
    """Give {class: names of its route tests}; a class with none is not tested.

    A test belongs to the first route of its listener that takes its request, as in the balancer.
    """
    tests: dict[str, list[str]] = {one["name"]: [] for one in world["classes"]}
    for test in world["route_tests"]:
        for request in test["requests"]:
            at_place = (one for one in world["classes"] if _place(one) == _place(request))
            taker = next((one for one in at_place if _takes(one, request)), None)
            if taker:
                tests[taker["name"]].append(test["name"])
    return tests


def _takes(request_class: RequestClass, request: TestRequest) -> bool:
    if request_class["route"] == "default":
        return True
    host, path = request["hosts"][0], request["paths"][0][0]
    sent = {name.lower(): value for name, value in request["headers"].items()}
    return (
        any(is_host(host, of_class) for of_class in request_class["hosts"])
        and any(is_path(path, of_class, grows) for of_class, grows in request_class["paths"])
        and all(sent.get(name.lower()) == value for name, value in request_class["headers"].items())
    )


def is_host(host: str, of_class: str) -> bool:
    """Whether a class with the host `of_class` takes `host`."""
    # `rehearsal.example` stands for `*.example`.
    if of_class in (host, ANY_HOST):
        return True
    return of_class.startswith("rehearsal.") and host.endswith(of_class[len("rehearsal") :])


def is_path(path: str, of_class: str, grows: bool) -> bool:
    """Whether a class with the path `of_class`, a prefix where it `grows`, takes `path`."""
    return path == of_class or (grows and path.startswith(of_class.rstrip("/") + "/"))


def declared(tests: Iterable[RouteTest], subject: Subject) -> list[RouteTest]:
    """Give the route tests for the same host, path and method: they declare what is wanted.

    A test of any host also covers requests that no route is meant for, except on traffic
    (`of_traffic`): there it would take away more than it says.

    For an entry of a mix, a test without a host counts when it expects a redirect or an error, or
    when the route takes any host. A placeholder of the path stands for one part. A test below one
    of the route's `prefixes` counts for the prefix, unless it expects a good answer and no pool.
    """
    return [
        test
        for test in tests
        for request in test["requests"][:1]
        if request["listener"] == subject["listener"]
        and request["method"] == subject.get("method", "GET")
        and _is_of_host(test, request["hosts"][0], subject)
        and _covers(test, request["paths"][0][0].partition("?")[0], subject)
    ]


def _is_of_host(test: RouteTest, host: str, subject: Subject) -> bool:
    if subject["host"].lower() == host.lower():
        return True
    if subject["host"] == ANY_HOST and not subject.get("of_traffic"):
        return True
    if "prefixes" not in subject:
        return False
    # A pool for unknown hosts proves nothing about a known host.
    return host == ANY_HOST and (expects_refusal(test) or bool(subject.get("any_host")))


def waiver_of(world: World, subject: Subject) -> str:
    """Give the reason of a waiver for a request, or "".

    A waiver names a method, a method and a host, or those and a path with all below it.
    """
    name = f"{subject['method']} {subject['host']}{subject['path']}/"
    for waived, reason in world["waived_requests"].items():
        method, _, rest = waived.partition(" ")
        if name.startswith(f"{method} {rest.rstrip('/')}/" if rest else f"{method} "):
            return reason
    return ""


def expects_refusal(test: RouteTest) -> bool:
    """Whether a route test expects a redirect or an error: no server answers that."""
    return (test["expect_status"] or 0) >= _REDIRECT


def _covers(test: RouteTest, tested: str, subject: Subject) -> bool:
    """Whether a test of the path `tested` speaks for the path of a request."""
    path = subject["path"]
    if tested == path:
        return True
    is_below = path != "/" and tested.startswith(path.rstrip("/") + "/")
    # Requests below a path show where the path goes.
    if "prefixes" not in subject or (is_below and test["expect_pool"]):
        return is_below
    decides = expects_refusal(test) or bool(test["expect_pool"])
    below = decides and any(is_path(tested, prefix, grows=True) for prefix in subject["prefixes"])
    # A placeholder stands for one part, {more} for any number.
    parts = [part for part in path.split("/") if part]
    wanted = [part for part in tested.split("/") if part]
    for number, part in enumerate(wanted):
        if number >= len(parts) or parts[number] == "{more}":
            return number < len(parts)
        if part != parts[number] and not _PLACEHOLDER.fullmatch(parts[number]):
            return False
    same_end = tested.endswith("/") == path.endswith("/")
    return below or (len(parts) == len(wanted) and same_end)


def was_known(world: World, subject: Subject) -> bool:
    """Whether the base names a request's host, path and headers.

    A request that only the change names may go elsewhere than before: that is its purpose.
    """
    words = world["base_words"]
    hosts = [_a_host(word) for word in words["hosts"]]
    return (
        (subject["path"] == "/" or subject["path"] in words["paths"])
        and (subject["host"] == ANY_HOST or subject["host"] in hosts)
        and all(value in words["headers"] for value in subject["headers"].values())
    )
