"""What a request has to be like to meet a condition of a route: hosts, paths and headers.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from evenkeel.balancer.types import RouteConditions

from ..config.parser import Line, Proxy

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.-]+")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def kept(front: Proxy) -> Dict[str, str]:
    """Give {var(NAME): the sample that it was set to} of variables that rules set at once."""
    found: Dict[str, str] = {}
    for line in front.all("http-request"):
        name = re.fullmatch(r"set-var\(([A-Za-z0-9_.]+)\)", line.value(1))
        if name:
            found[f"var({name[1]})"] = line.value(2)
    return found


def asked_for(
    words: Sequence[str], acls: Mapping[str, List[Line]], kept: Mapping[str, str]
) -> Optional[RouteConditions]:
    """Give hosts, paths and headers that meet the first alternative of a condition."""
    asked: RouteConditions = {"hosts": [], "paths": [], "path_prefixes": [], "headers": []}
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
            # Most requests do not match what is excepted.
            continue
        if not any(_met((kept.get(test[0], test[0]), *test[1:]), asked) for test in tests if test):
            return None
    return asked if any(asked.values()) else None


def _met(test: Sequence[str], asked: RouteConditions) -> bool:
    """Enter what meets one test into `asked`; False when we cannot make such a request."""
    if not test:
        return False
    sample, how, values = _parts(test)
    name = sample.split(",")[0].lower()
    if name.startswith(("hdr(host)", "req.hdr(host)", "hdr_", "req.hdr_")) and "(host)" in name:
        how = how or name.partition("hdr_")[2].partition("(")[0]
        hosts = [_host(value, how) for value in values]
        asked["hosts"] += [host for host in hosts if host]
        return any(hosts)
    if name in ("path", "path_beg", "path_dir", "url_beg", "path_sub", "path_end", "url", "base"):
        how = how or name.partition("_")[2]
        paths = [value for value in values if _PLAIN_PATH.fullmatch(_path(value, how))]
        key = asked["path_prefixes"] if how in ("beg", "dir") else asked["paths"]
        key += [_path(value, how) for value in paths]
        return bool(paths)
    found = re.fullmatch(r"(?:req\.)?f?hdr\(([A-Za-z0-9-]+)\)", sample.split(",")[0])
    if found and values and how in ("", "str") and _WORD.fullmatch(values[0]):
        asked["headers"].append({"name": found[1], "value": values[0]})
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
    """Give a host name that matches; "" when there is none of our making."""
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
