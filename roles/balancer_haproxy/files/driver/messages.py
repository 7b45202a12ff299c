"""Hides what HAProxy's messages quote of any file but the release."""

from __future__ import annotations

import re

from evenkeel.host.system import process

from .declared import text_of

LARGEST_OUTPUT = 4000
_HIDDEN = r"(?i)(password|passwd|secret|auth|token)(\S*\s+)\S+"
_QUOTED = r"(?<![A-Za-z0-9])'(.*?)'(?![A-Za-z0-9])"
# Signs around a quoted name.
_MARKS = "'\",.:;()<>[]"
# HAProxy's own words and numbers hide no secret.
_SPOKEN = (
    r"\[[A-Z]+\]|\(?\d{1,7}\)?[,.:;]?|\[?haproxy\.cfg(?::\d+)?\]?[,.:;]?|<[a-z]+>"
    r"|[(\[]?[A-Za-z][A-Za-z-]*(?:'[a-z]{1,2}|\(s\))?[)\]]?[,.:;?!]?|IPv[46]|[^A-Za-z0-9]{1,3}"
    # An address that HAProxy could not listen on.
    r"|\[(?:[0-9.]{7,15}|[0-9a-f:]{2,39}):\d{1,5}\][,.:;]?"
)


def own_words(said: str, text: str) -> str:
    """Give what HAProxy said, with `***` for what is neither its own wording nor in `text`.

    Its errors quote the file that they are about, which may be another one than the release.
    """
    said = re.sub(_HIDDEN, r"\1\2***", said[: 4 * LARGEST_OUTPUT])
    said = re.sub(_QUOTED, lambda q: q.group() if q.group(1) in text else "'***'", said)
    kept = []
    for line in said.split("\n"):
        # An error may quote the release.
        quoted = line.strip() and line in text
        spoken = (re.fullmatch(_SPOKEN, w) or w.strip(_MARKS) in text for w in line.split())
        if quoted or all(spoken):
            kept.append(line)
        else:
            kept.append(" ".join(_own_word(word, text) for word in line.split()))
    return "\n".join(kept)


def _own_word(word: str, text: str) -> str:
    own = re.fullmatch(_SPOKEN, word) or word.strip(_MARKS) in text
    return word if own else "***"


def last_words(answer: str, text: str) -> str:
    """Give the alerts of an answer to a reload of `text`."""
    lines = [line for line in answer.splitlines() if "[ALERT]" in line]
    return own_words(" ".join(lines), text)[:500] or "it said nothing more"


def said_since(wall_seconds: float, unit: str, path: str) -> str:
    """Give the alerts that HAProxy has logged since then; where to look when there are none."""
    words = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=200"]
    said = process.run([*words, f"--unit={unit}", f"--since=@{int(wall_seconds)}"], 10.0)[1]
    alerts = "\n".join(line for line in said.splitlines() if "[ALERT]" in line)
    if not alerts:
        return f"see the journal of {unit}"
    return last_words(alerts, text_of(path))
