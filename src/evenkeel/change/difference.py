"""What a change alters in the files, as a person reads it, without the secrets in them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

HIDDEN = "[redacted]"
# In a difference: hidden, and not what is live.
HIDDEN_CHANGED = "[redacted:changed]"

# Lines that say where traffic goes, in a configuration or in a difference of one: an approver has
# to see them whole, whatever their names are. Only credentials within an address are hidden there.
_STRUCTURE = re.compile(
    r"[+\- ]?\s*(?:server|backend|frontend|listen|use_backend|default_backend)(?=\s)"
)
# One word of a configuration: quoted parts, escapes and plain letters, a lone quote as it is.
_PARTS = r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|["'\\]|[^\s;"'\\]%s)+"""
_WORD = r"(?!\[redacted)" + _PARTS % ""
_WORDS = rf"(?!\[redacted){_PARTS % '|;'}(?:\s+(?!\}}|if\s|unless\s){_PARTS % '|;'})*"
# Words that a secret follows, in the configuration of any balancer. What comes after them on the
# line is hidden, or only the word itself where more follows that is worth reading.
_SECRET_WORD = re.compile(
    r"(?i)\b(?P<head>(?:insecure-)?password|passwd|secret|token|api[_-]?key|passphrase)"
    rf"(?P<gap>\s*[=:]\s*|\s+){_WORD}"
)
_SECRET_REST = re.compile(
    r"(?i)\b(?P<head>stats\s+auth|(?:proxy-)?authorization|auth_basic_user|cookie:)"
    r"(?P<gap>\s+|\s*[=:]\s*)(?!\[redacted)\S.*$"
)
# A header or cookie whose value lets somebody in, by its name; the name is taken whole or not at
# all. (Possessive quantifiers say so too, but Python 3.11.2, which Debian 12 has, matches them
# wrongly.)
_LETS_IN = (
    r"(?=[^\s()]*?(?:auth|token|secret|passw|api-?_?key|session|credential|signature|jwt))"
    r"[^\s()]*(?![^\s()])"
)
# What such a header is compared with or set to: `hdr(X-Auth-Token) -m str -- …`. The flags are
# taken as they were first found, so that none of them is given back as a word of the value.
_FLAGS = r"(?=(?P<flags>(?:\s+-m\s+\w+|\s+-[a-z](?=\s))*(?:\s+--(?=\s))?))(?P=flags)"
_SECRET_HEADER = re.compile(
    rf"(?i)(?P<head>\b(?:\w+\.)?(?:f?hdr|s?cook)\w*\({_LETS_IN}\)\S*{_FLAGS}"
    rf"|\b(?:set|add|replace)-(?:header|value)\s+{_LETS_IN}\S*)(?P<gap>\s+){_WORDS}"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


def redact(text: str) -> str:
    """Give `text` with passwords, tokens, credentials and private keys replaced by a mark.

    Lines that name servers, pools and listeners stay whole, but for credentials in an address.
    What is redacted already stays as it is.
    """
    return "\n".join(_redacted(line) for line in _without_keys(text).split("\n"))


def _without_keys(text: str) -> str:
    return _PRIVATE_KEY.sub(f"PRIVATE KEY {HIDDEN}", text)


def _redacted(line: str) -> str:
    if not _STRUCTURE.match(line):
        for pattern in (_SECRET_HEADER, _SECRET_WORD, _SECRET_REST):
            line = pattern.sub(rf"\g<head>\g<gap>{HIDDEN}", line)
    return _CREDENTIALS.sub(HIDDEN, line)


def unified_diff(
    base_files: Mapping[str, bytes], new_files: Mapping[str, bytes], redact: bool = True
) -> str:
    """Give the unified difference between two sets of files (name to bytes), by name.

    A file that is on one side only is compared with nothing. The secrets in it are hidden, unless
    `redact` is false: then a person reads what a person may read. A hidden value that is not the
    live one is marked as changed, so that no change is hidden with its value.
    """
    parts: list[str] = []
    for name in sorted({*base_files, *new_files}):
        old, new = (
            _lines(files[name], redact) if name in files else []
            for files in (base_files, new_files)
        )
        before = [shown for _, shown in old]
        after = _marked(new, old)
        parts += difflib.unified_diff(
            before,
            after,
            f"live/{name}" if name in base_files else "/dev/null",
            f"change/{name}" if name in new_files else "/dev/null",
            lineterm="",
        )
        if before == after and base_files.get(name) != new_files.get(name):
            parts.append(f"change/{name}: differs only in what is hidden here")
    return "".join(line + "\n" for line in parts)


def fleet_diff(
    before: Mapping[str, Mapping[str, bytes]], after: Mapping[str, Mapping[str, bytes]]
) -> str:
    """Give the redacted difference of every host of `after` (host to files); equal ones once."""
    groups: dict[str, list[str]] = {}
    # Hosts share their files, and to compare takes much longer than to see that they do.
    known: dict[object, str] = {}
    for host in sorted(after):
        live, new = before.get(host) or {}, after[host]
        key = (tuple(sorted(live.items())), tuple(sorted(new.items())))
        if key not in known:
            known[key] = unified_diff(live, new)
        groups.setdefault(known[key], []).append(host)
    return "\n".join(f"# {', '.join(names)}\n{text}" for text, names in groups.items())


def _lines(data: bytes, hide: bool) -> list[tuple[str, str]]:
    """Give each line as it is and as it is shown."""
    text = data.decode("utf-8", "replace")
    lines = (_without_keys(text) if hide else text).splitlines()
    return [(line, _redacted(line) if hide else line) for line in lines]


def _marked(new: Sequence[tuple[str, str]], old: Sequence[tuple[str, str]]) -> list[str]:
    """Give the shown lines of `new`, marked where a live line differs only in what is hidden."""
    live, seen = {line for line, _ in old}, {shown for _, shown in old}
    return [
        shown.replace(HIDDEN, HIDDEN_CHANGED)
        if shown != line and line not in live and shown in seen
        else shown
        for line, shown in new
    ]
