"""Who is who in a change: the author and those who approve are different persons with own keys."""

from __future__ import annotations

from pathlib import Path

from evenkeel.change import signature
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused
from evenkeel.host.state.signers import PERSON


def check_person(person: object) -> str:
    """Give `person` back when it is a usable name of an approver; raises Refused otherwise."""
    if isinstance(person, str) and PERSON.fullmatch(person):
        return person
    raise Refused(
        "The approver has no usable name",
        wanted="1 to 64 of A-Z a-z 0-9 . _ @ + -, starting with a letter or digit",
        got=repr(person)[:80],
        next_step="name yourself as the file of allowed signers does: --as PERSON",
    )


def require_known_author(folder: ChangeFolder, signers: Path) -> None:
    """Raise Refused unless `signers` lists the change's author by exactly that name."""
    # The author's name is whatever render was told. Only a name with a key of its own can be told
    # apart from the approver's: not one made up, nor one that merely looks like another.
    author = folder.author()
    if not (PERSON.fullmatch(author) and signature.is_listed(author, signers)):
        raise Refused(
            "The author of the change is nobody who is listed",
            where=str(signers),
            wanted="an author with a key under exactly that name among the allowed signers",
            got=ascii(author)[:80],
            next_step="render it as a person who is listed: ansible-playbook "
            f"playbooks/render.yml -e change={folder.change_id} -e change_author=…",
        )


def require_listed(person: str, signers: Path) -> None:
    """Raise Refused unless `signers` lists a key for `person`."""
    if not signature.keys_of(person, signers):
        raise Refused(
            "The approver is nobody who is listed",
            where=str(signers),
            wanted="a person with a key among the allowed signers",
            got=person,
            next_step="name yourself as that file does, or have your key listed in it",
        )


def require_second_person(folder: ChangeFolder, person: str) -> None:
    """Raise Refused when `person` is the author of the change."""
    author = folder.author()
    if person.casefold() == author.casefold():
        raise Refused(
            "The author of a change cannot approve it",
            where=str(folder.manifest_json),
            wanted=f"a person other than {author}",
            got=person,
            next_step=f"ask somebody else to run: scripts/approve {folder.change_id}",
        )


def require_second_key(folder: ChangeFolder, person: str, used: str, signers: Path) -> None:
    """Raise Refused when the key with the fingerprint `used` is one of the author's."""
    author = folder.author()
    if used in signature.keys_of(author, signers):
        raise one_key_two_names(person, author, used)


def one_key_two_names(person: str, other: str, used: str) -> Refused:
    """Give the error for two names that have one key."""
    return Refused(
        f"The key of {person} is also the key of {other}",
        wanted="two persons with a key each",
        got=used,
        next_step="give each person a key of their own in the file of allowed signers",
    )
