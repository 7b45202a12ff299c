"""Which single questions are asked of what was live and of the candidate: pure functions.

A question is asked in the same words before and after, so that what differs is the change's doing.
Hosts and paths come from the candidate's classes and from the words of both files, so that a route
that the change takes away is asked for too.

Standard library only: it runs inside the staging container.
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
# No route can be meant for this name (RFC 6761): it is how a default pool is reached, and what a
# route that takes any host is asked for.
ANY_HOST = "rehearsal.invalid"
# A larger upload than this measures the container and not the balancer.
MOST_BODY_BYTES = 4 * 1024 * 1024
# Of the hosts, so many are asked for every path.
_MAIN_HOSTS = 3
_REDIRECT = 300
_PLACEHOLDER = re.compile(r"\{[a-z]+\}")
_PATH = re.compile(r"/[A-Za-z0-9_./-]{0,120}")
_HOST = re.compile(r"\.?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.[a-z]{2,24}")
# No request asks for these: they are where the balancer's own files and sockets lie.
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


def binds(world: World) -> list[RequestClass]:
    """Give each place that clients arrive at, once, as a class without host and path."""
    found: dict[tuple[str, int], RequestClass] = {}
    for request_class in world["classes"]:
        found.setdefault((request_class["address"], request_class["port"]), request_class)
    return list(found.values())


def questions(world: World) -> list[Question]:
    """Give the questions as classes of one host and one path each; its name says what is asked."""
    found: dict[str, Question] = {}
    words = world["words"]
    for bind in binds(world):
        endpoint = [k for k in world["classes"] if (k["address"], k["port"]) == _place(bind)]
        hosts = [host for request_class in endpoint for host in request_class["hosts"]]
        pairs = [(h, p, k["headers"]) for k in endpoint for h in k["hosts"] for p, _ in k["paths"]]
        pairs += [(_a_host(host), "/", {}) for host in words["hosts"]]
        main = list(dict.fromkeys(hosts))[:_MAIN_HOSTS]
        pairs += [(host, path, {}) for path in ("/", *words["paths"]) for host in main]
        for host, path, headers in pairs:
            more = "".join(f" {name}: {value}" for name, value in sorted(headers.items()))
            name = f"port {bind['port']} {host}{path}{more}"
            found[name] = _question(bind, name, host, path, headers)
    return list(found.values())[:MOST_QUESTIONS]


def manners(world: World) -> list[Manner]:
    """Give one question for each way to speak to each place: TLS, HTTP/2, a PROXY header."""
    found: list[Manner] = []
    for bind in binds(world):
        ways = {"plain": (False, False), "TLS": (True, False)}
        if bind["h2"]:
            ways["TLS with HTTP/2"] = True, True
        for way, (tls, h2) in ways.items():
            for proxy in (False, True):
                spoken = way + (" after a PROXY header" if proxy else "")
                name = f"port {bind['port']} spoken to in {spoken}"
                host, (path, _) = bind["hosts"][0], bind["paths"][0]
                asked = _question(bind, name, host, path, bind["headers"])
                found.append({**asked, "tls": tls, "accept_proxy": proxy, "offers_h2": h2})
    return found


def _place(request_class: RequestTemplate) -> tuple[str, int]:
    return request_class["address"], request_class["port"]


def _a_host(word: str) -> str:
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
    """Give {route of a class: its route tests}; the empty lists are routes that no test reaches.

    A test belongs to the first route of its listener that takes its request, as for the balancer.
    """
    found: dict[str, list[str]] = {request_class["name"]: [] for request_class in world["classes"]}
    for test in world["route_tests"]:
        for request in test["requests"]:
            at_place = [k for k in world["classes"] if _place(k) == _place(request)]
            request_class = next(
                (request_class for request_class in at_place if _takes(request_class, request)),
                None,
            )
            if request_class:
                found[request_class["name"]].append(test["name"])
    return found


def _takes(request_class: RequestClass, request: TestRequest) -> bool:
    if request_class["route"] == "default":
        return True
    host, path = request["hosts"][0], request["paths"][0][0]
    has = {name.lower(): value for name, value in request["headers"].items()}
    return (
        any(is_host(host, one) for one in request_class["hosts"])
        and any(is_path(path, one, grows) for one, grows in request_class["paths"])
        and all(has.get(name.lower()) == value for name, value in request_class["headers"].items())
    )


def is_host(host: str, of_class: str) -> bool:
    """Whether a class that is asked for as host `of_class` takes `host`."""
    # A class without hosts takes any; one of *.example is asked for as rehearsal.example.
    if of_class in (host, ANY_HOST):
        return True
    return of_class.startswith("rehearsal.") and host.endswith(of_class[len("rehearsal") :])


def is_path(path: str, of_class: str, grows: bool) -> bool:
    """Whether a class of path `of_class`, a prefix where it `grows`, takes `path`."""
    return path == of_class or (grows and path.startswith(of_class.rstrip("/") + "/"))


def declared(tests: Iterable[RouteTest], asked: Subject) -> list[RouteTest]:
    """Give the route tests that ask for the same host, path and method: what the change wants.

    About what no route is meant for, a test of any host speaks, except on what is traffic
    (`of_traffic`): there it would take more away than it says.

    About an entry of a mix (`scouting.subject_of`), a test without a host speaks when it expects a
    redirect or an error, or when the route is for `any_host`. A placeholder of the path is one part
    of it. A test of a path that one of the route's `prefixes` takes speaks for what is below it,
    unless it expects a good answer and no pool: it does not say who gives that.
    """
    return [
        test
        for test in tests
        for request in test["requests"][:1]
        if request["listener"] == asked["listener"]
        and request["method"] == asked.get("method", "GET")
        and _is_of_host(test, request["hosts"][0], asked)
        and _covers(test, request["paths"][0][0].partition("?")[0], asked)
    ]


def _is_of_host(test: RouteTest, host: str, asked: Subject) -> bool:
    if asked["host"].lower() == host.lower():
        return True
    if asked["host"] == ANY_HOST and not asked.get("of_traffic"):
        return True
    if "prefixes" not in asked:
        return False
    # A pool that requests without a known name reach says nothing about a route of one name.
    return host == ANY_HOST and (says_no(test) or bool(asked.get("any_host")))


def waiver_of(world: World, asked: Subject) -> str:
    """Give the reason of a waiver for what is asked, or "".

    The subject of a waiver is a method, a method and a host, or those and a path with all below it.
    """
    name = f"{asked['method']} {asked['host']}{asked['path']}/"
    for subject, reason in world["waived_requests"].items():
        method, _, rest = subject.partition(" ")
        if name.startswith(f"{method} {rest.rstrip('/')}/" if rest else f"{method} "):
            return reason
    return ""


def says_no(test: RouteTest) -> bool:
    """Whether a route test expects a redirect or an error: nothing that a server answers."""
    return (test["expect_status"] or 0) >= _REDIRECT


def _covers(test: RouteTest, tested: str, asked: Subject) -> bool:
    path = asked["path"]
    if tested == path:
        return True
    is_entry = "prefixes" in asked
    is_below = path != "/" and tested.startswith(path.rstrip("/") + "/")
    # Where something below a path goes is where the path goes, as far as anybody has said.
    if not is_entry or (is_below and test["expect_pool"]):
        return is_below
    speaks = says_no(test) or bool(test["expect_pool"])
    below = speaks and any(is_path(tested, prefix, grows=True) for prefix in asked["prefixes"])
    return _leads_to(tested, path, below=below)


def _leads_to(tested: str, path: str, *, below: bool) -> bool:
    """Whether a tested path is one of a row's, or above it where `below` counts as well."""
    parts = [part for part in path.split("/") if part]
    wanted = [part for part in tested.split("/") if part]
    for number, part in enumerate(wanted):
        if number >= len(parts) or parts[number] == "{more}":
            return number < len(parts)
        if part != parts[number] and not _PLACEHOLDER.fullmatch(parts[number]):
            return False
    same_end = tested.endswith("/") == path.endswith("/")
    return below or (len(parts) == len(wanted) and same_end)


def was_known(world: World, asked: Subject) -> bool:
    """Whether what was live before speaks of a question's host, path and headers.

    What only the change names is new: it may go elsewhere than before, that is what it is for.
    """
    words = world["base_words"]
    hosts = [_a_host(word) for word in words["hosts"]]
    return (
        (asked["path"] == "/" or asked["path"] in words["paths"])
        and (asked["host"] == ANY_HOST or asked["host"] in hosts)
        and all(value in words["headers"] for value in asked["headers"].values())
    )


def words_of_all(texts: Iterable[str]) -> Words:
    """Give the words of several files together, in their order."""
    found = [words_of(text) for text in texts]
    return {
        "paths": list(dict.fromkeys(path for words in found for path in words["paths"])),
        "hosts": list(dict.fromkeys(host for words in found for host in words["hosts"])),
    }
