"""The difference that a change makes in the files, for people, without secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

HIDDEN = "[redacted]"
# In a difference: hidden, and other than the live value.
HIDDEN_CHANGED = "[redacted:changed]"

# Approvers must see these lines completely, credentials excepted.
_STRUCTURE = re.compile(
    r"[+\- ]?\s*(?:server|backend|frontend|listen|use_backend|default_backend)(?=\s)"
)
# One word: quoted parts, escapes, plain letters.
_PARTS = r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|["'\\]|[^\s;"'\\]%s)+"""
_WORD = r"(?!\[redacted)" + _PARTS % ""
_WORDS = rf"(?!\[redacted){_PARTS % '|;'}(?:\s+(?!\}}|if\s|unless\s){_PARTS % '|;'})*"
# Hide the word after these, or the rest.
_SECRET_WORD = re.compile(
    r"(?i)\b(?P<head>(?:insecure-)?password|passwd|secret|token|api[_-]?key|passphrase)"
    rf"(?P<gap>\s*[=:]\s*|\s+){_WORD}"
)
_SECRET_REST = re.compile(
    r"(?i)\b(?P<head>stats\s+auth|(?:proxy-)?authorization|auth_basic_user|cookie:)"
    r"(?P<gap>\s+|\s*[=:]\s*)(?!\[redacted)\S.*$"
)
# Headers and cookies that grant access. (Possessive quantifiers fail on Python 3.11.2.)
_LETS_IN = (
    r"(?=[^\s()]*?(?:auth|token|secret|passw|api-?_?key|session|credential|signature|jwt))"
    r"[^\s()]*(?![^\s()])"
)
# Flags before a value: `hdr(X-Auth-Token) -m str -- …`, matched atomically.
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

    In lines that name servers, pools and listeners only the credentials in an address are replaced.
    Redacted text stays as it is.
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

    A file on one side only is compared with an empty one. Secrets are hidden unless `redact` is
    false. A hidden value that differs from the live one is marked as changed, so that hiding the
    value does not hide the change.
    """
    parts: list[str] = []
    for name in sorted({*base_files, *new_files}):
        old, new = (_lines(files.get(name, b""), redact) for files in (base_files, new_files))
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
    # Comparing is slow, and many hosts have equal files.
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
