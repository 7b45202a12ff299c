"""Pools that a change leaves as they are, so that it is not blamed for their failures."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Set, Tuple

from ..config.parser import Configuration, Line, Proxy, read

# Directives about requests, not about failures.
_ROUTING = ("acl", "use_backend", "default_backend", "http-request", "http-response", "capture")

Text = Tuple[bool, Tuple[str, ...]]


def unchanged(files: Mapping[str, Any], base_files: Mapping[str, Any]) -> List[str]:
    """Give the pools whose lines, with the inherited ones, are the same in both.

    A pool that tracks servers of another pool is only unchanged when that one is. The list is empty
    when anything differs that affects all pools: the process, name servers, peers, lists and maps,
    or how listeners accept connections.
    """
    now, before = read(files), read(base_files)
    if _whole(now) != _whole(before):
        return []
    same = [
        back
        for back in now.backs
        if (old := before.back(back.name)) is not None and _lines(back) == _lines(old)
    ]
    # Tracking is transitive.
    names = {back.name for back in same}
    while not all(_tracked(back) <= names for back in same):
        same = [back for back in same if _tracked(back) <= names]
        names = {back.name for back in same}
    return [back.name for back in same]


def _tracked(back: Proxy) -> Set[str]:
    """Give the pools whose health the servers of a pool follow (`track POOL/SERVER`)."""
    found = (one.options.get("track", "") for one in back.servers)
    return {text.rpartition("/")[0] for text in found if "/" in text}


def _whole(one: Configuration) -> Tuple[Any, ...]:
    others = [(kind, opened.words, _texts(lines)) for kind, opened, lines in one.others]
    fronts = [
        (front.name, [text for text in _lines(front) if text[1][0] not in _ROUTING])
        for front in one.fronts
        if not front.is_back
    ]
    return _texts(one.process), others, sorted(one.data.items()), fronts


def _lines(proxy: Proxy) -> List[Text]:
    return _texts([*proxy.inherited, *proxy.lines])


def _texts(lines: Sequence[Line]) -> List[Text]:
    return [(line.negated, line.words) for line in lines]
