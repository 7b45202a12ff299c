"""SSH signatures by `ssh-keygen -Y`, and whose keys an allowed_signers file lists.

Every signature is made and verified in the namespace "evenkeel". `-Y check-novalidate` is never
used: it accepts any key. Formats: ssh-keygen(1), "ALLOWED SIGNERS", and PROTOCOL.sshsig of OpenSSH.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evenkeel.errors import Refused
from evenkeel.host.state import signers as ssh
from evenkeel.host.state.signers import LARGEST_BYTES, NAMESPACE

# A person may have to type a passphrase or touch a hardware key.
SIGN_SECONDS = 120
VERIFY_SECONDS = 20


def require_key(key: Path) -> None:
    """Raise Refused unless there is a file `key`."""
    if not key.is_file():
        raise Refused(
            "There is no such SSH key",
            where=str(key),
            got="no file",
            next_step="name one with --key, or make one: ssh-keygen -t ed25519",
        )


def sign(data: bytes, key: Path) -> bytes:
    """Sign `data` with the private key in the file `key`, or by the agent if it is a public one.

    Gives the armoured signature. Raises Refused when there is no such key or it would not sign.
    """
    require_key(key)
    words = ["-Y", "sign", "-q", "-f", str(key.absolute()), "-n", NAMESPACE]
    done = _ssh_keygen(words, data, SIGN_SECONDS)
    if done.returncode or not ssh.is_armoured(done.stdout):
        raise Refused(
            "The SSH key did not sign",
            where=str(key),
            wanted="a private key that can be read, or a public one whose private half is in the "
            "agent",
            got=_last_line(done.stderr) or f"exit code {done.returncode}",
            next_step="try another with --key, or unlock it: ssh-add",
        )
    return done.stdout


def verify(
    data: bytes, signature: bytes, person: str, signers: Path, revoked: Path | None = None
) -> str:
    """Verify that `person` signed `data` with a key that `signers` lists for that name.

    `revoked` is an optional OpenSSH revocation list. Gives the key's fingerprint; raises Refused.
    """
    used = fingerprint(signature)
    _listed(signers)
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
        path = Path(folder) / "signature"
        path.write_bytes(signature)
        words = ["-Y", "verify", "-f", str(signers.absolute()), "-I", person, "-n", NAMESPACE]
        words += ["-s", str(path)]
        if revoked is not None:
            words += ["-r", str(revoked.absolute())]
        done = _ssh_keygen(words, data, VERIFY_SECONDS)
    if done.returncode:
        raise Refused(
            f"The signature is not a valid one of {person}",
            where=str(signers),
            wanted=f"a signature of these bytes for {NAMESPACE} by a key listed for {person}",
            got=_last_line(done.stderr)
            or _last_line(done.stdout)
            or f"exit code {done.returncode}",
            next_step="sign again, or have the key listed in the file of allowed signers",
        )
    return used


def fingerprint(signature: bytes) -> str:
    """Give the fingerprint (SHA256:…) of the key that an armoured signature names.

    Raises Refused for what is no SSH signature and for one by a certificate: the rule of two
    persons compares keys, and a certificate would hide which key it is.
    """
    try:
        key = ssh.key_of(signature)
    except ValueError:
        raise Refused(
            "The signature is damaged",
            wanted="what ssh-keygen -Y sign writes",
            next_step="sign again: scripts/approve CHANGE",
        ) from None
    if ssh.is_certificate(key):
        raise Refused(
            "The signature was made by a certificate",
            wanted="a plain SSH key, so that two persons can be told apart by their keys",
            got=ssh.kind_of(key),
            next_step="sign with the plain key: scripts/approve CHANGE --key FILE",
        )
    return _fingerprint_of_key(key)


def keys_of(person: str, signers: Path) -> frozenset[str]:
    """Give the fingerprints of all keys that the file `signers` lists for `person`.

    Names are compared without regard to case, so that nobody is two persons by a capital letter.
    Raises Refused when the file is missing or a line of it cannot be read.
    """
    return frozenset(map(_fingerprint_of_key, ssh.keys_of(person, _listed(signers))))


def is_listed(person: str, signers: Path) -> bool:
    """Tell whether `signers` gives a key to exactly this name, letter by letter, by no pattern.

    Raises Refused as `keys_of` does.
    """
    return ssh.is_listed(person, _listed(signers))


def _listed(signers: Path) -> list[ssh.Row]:
    """Give the lines of the file; raises Refused when one cannot be read."""
    try:
        with signers.open("rb") as stream:
            text = stream.read(LARGEST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            "The file of allowed signers cannot be read",
            where=str(signers),
            wanted="an allowed_signers file as ssh-keygen(1) describes it",
            got=getattr(error, "strerror", None) or "text that is not UTF-8",
            next_step="set evenkeel_allowed_signers in the inventory to it",
        ) from None
    try:
        return ssh.rows_of(text)
    except ValueError as line:
        raise Refused(
            "The file of allowed signers has a line that cannot be read",
            where=f"{signers}, {line}",
            wanted="NAMES [options] KEYTYPE KEY",
            next_step="correct the line, or make it a comment",
        ) from None


def _fingerprint_of_key(key: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _ssh_keygen(
    words: Sequence[str], data: bytes, seconds: int
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *words],  # noqa: S607  # found by PATH, as the operator's own is
            input=data,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise Refused(
            "ssh-keygen is not installed", next_step="run: apt-get install openssh-client"
        ) from None
    except subprocess.TimeoutExpired:
        raise Refused(
            "ssh-keygen did not answer in time",
            wanted=f"an answer within {seconds} s",
            next_step="unlock the key first (ssh-add), then run the same command again",
        ) from None


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""
