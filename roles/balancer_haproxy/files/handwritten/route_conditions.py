"""Finds hosts, paths and headers of requests that meet the condition of a route."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from evenkeel.balancer.types import RouteConditions

from ..config.parser import Line, Proxy

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.-]+")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def variables(front: Proxy) -> Dict[str, str]:
    """Give {var(NAME): sample} of the variables that http-request rules set."""
    found: Dict[str, str] = {}
    for line in front.all("http-request"):
        name = re.fullmatch(r"set-var\(([A-Za-z0-9_.]+)\)", line.value(1))
        if name:
            found[f"var({name[1]})"] = line.value(2)
    return found


def route_conditions(
    words: Sequence[str], acls: Mapping[str, List[Line]], variables: Mapping[str, str]
) -> Optional[RouteConditions]:
    """Give hosts, paths and headers that meet the first alternative of a condition."""
    conditions: RouteConditions = {
        "hosts": [],
        "paths": [],
        "path_prefixes": [],
        "headers": [],
    }
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in ("||", "or"):
            break
        if word in ("{", "!{"):
            end = words.index("}", at) if "}" in words[at:] else len(words)
            tests = [tuple(words[at:end])]
            at = end + 1
        else:
            tests = [line.words[2:] for line in acls.get(word.lstrip("!"), [])]
        if word.startswith("!"):
            # Most requests do not match an exception.
            continue
        if not any(
            _met((variables.get(test[0], test[0]), *test[1:]), conditions) for test in tests if test
        ):
            return None
    return conditions if any(conditions.values()) else None


def _met(test: Sequence[str], conditions: RouteConditions) -> bool:
    """Add what meets one test to `conditions`; False when no request can be made for it."""
    if not test:
        return False
    sample, how, values = _parts(test)
    name = sample.split(",")[0].lower()
    if name.startswith(("hdr(host)", "req.hdr(host)", "hdr_", "req.hdr_")) and "(host)" in name:
        how = how or name.partition("hdr_")[2].partition("(")[0]
        hosts = [_host(value, how) for value in values]
        conditions["hosts"] += [host for host in hosts if host]
        return any(hosts)
    if name in ("path", "path_beg", "path_dir", "url_beg", "path_sub", "path_end", "url", "base"):
        how = how or name.partition("_")[2]
        paths = [value for value in values if _PLAIN_PATH.fullmatch(_path(value, how))]
        prefix = how in ("beg", "dir")
        wanted = conditions["path_prefixes"] if prefix else conditions["paths"]
        wanted += [_path(value, how) for value in paths]
        return bool(paths)
    found = re.fullmatch(r"(?:req\.)?f?hdr\(([A-Za-z0-9-]+)\)", sample.split(",")[0])
    if found and values and how in ("", "str") and _WORD.fullmatch(values[0]):
        conditions["headers"].append({"name": found[1], "value": values[0]})
        return True
    return False


def _parts(test: Sequence[str]) -> Tuple[str, str, List[str]]:
    """Give the sample, how it is matched (beg, end, str, ...), and the values."""
    how, at = "", 1
    while at < len(test) and test[at].startswith("-"):
        flag = test[at]
        at += 1
        if flag == "--":
            break
        if flag in ("-m", "-u", "-f"):
            how = test[at] if flag == "-m" and at < len(test) else how
            at += 1
    return test[0], how, list(test[at:])


def _host(value: str, how: str) -> str:
    """Give a host name that matches; "" when none can be made."""
    value = value.partition(":")[0]
    if how == "end":
        value = "rehearsal" + (value if value.startswith(".") else f".{value}")
    elif how == "beg":
        value = value.rstrip(".") + ".example"
    elif how == "reg":
        return ""
    return value.lower() if _PLAIN_HOST.fullmatch(value) else ""


def _path(value: str, how: str) -> str:
    if how == "end":
        return "/rehearsal" + value
    if how in ("sub", "dir"):
        return "/" + value.strip("/")
    return "" if how == "reg" else value
