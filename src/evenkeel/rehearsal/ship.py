"""Puts together the files of each container before Ansible gets in: one folder per bundle.

    python -m evenkeel.rehearsal.ship FOLDER

reads the scenario's settings from the environment and leaves in FOLDER `id_ed25519` (the run's own
key) and `payload/<bundle>/`, a tree for the container's root: the host's program, the balancer's
driver, the rehearsal's program, the bundle, the base, stand-in certificates.
"""

from __future__ import annotations

import io
import shutil
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import evenkeel
from evenkeel import program
from evenkeel.balancer.dialect import load_dialect
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EvenkeelError, Refused
from evenkeel.profile.traffic_profile import DEFAULT, read_profile
from evenkeel.records import canonical_json, read_json, sha256_of, write_atomically
from evenkeel.rehearsal.bundles import Bundle, Settings
from evenkeel.rehearsal.plan import placeholder_files, world
from evenkeel.rehearsal.plan.references import with_references
from evenkeel.rehearsal.plan.requests import words_of_all
from evenkeel.rehearsal.plan.waivers import waived_requests
from evenkeel.rehearsal.protocol import paths
from evenkeel.rehearsal.protocol.world_types import Plan, World

_PARTS = ("host/**/*.py", "judge/*.py", "rehearsal/**/*.py", "__init__.py", "errors.py")
# The contract's shapes, which controller and container share.
_SHAPES = ("balancer/__init__.py", "balancer/types.py")
# The controller's side.
_CONTROLLER_ONLY = {
    f"rehearsal/{name}.py"
    for name in (
        "bundles", "plan/placeholder_files", "plan/references", "ship", "staging", "verifier"
    )
}  # fmt: skip


def rehearsal_program() -> bytes:
    """Give the program that runs inside the container, as one executable zip file."""
    top = Path(evenkeel.__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for pattern in (*_PARTS, *_SHAPES):
            for path in sorted(top.glob(pattern)):
                name = path.relative_to(top).as_posix()
                if name not in _CONTROLLER_ONLY:
                    archive.write(path, f"evenkeel/{name}")
        archive.writestr("__main__.py", "from evenkeel.rehearsal import __main__\n")
    return buffer.getvalue()


def payload(bundle: Bundle, settings: Settings, target: Path, keys: Keys) -> None:
    """Write the tree of one container to `target`.

    Raises Refused when a file of the bundle or of the base differs from the manifest.
    """
    change = ChangeFolder(settings.change)
    change.verify_bundle()
    manifest = change.manifest()
    path = settings.change / "intent" / f"{bundle.host}.json"
    intent = read_json(path, what="The host's intent", next_step="render the change again")
    if not isinstance(intent, dict):
        raise Refused("The host's intent is damaged", where=str(path))
    profile, profile_sum = DEFAULT, None
    if change.profile_json.exists():
        profile, data = read_profile(change.profile_json)
        profile_sum = sha256_of(data)
    facts = _world(manifest, change.digest(), bundle, settings, world.build(intent, profile))
    facts["profile"]["sha256"] = profile_sum
    write_atomically(settings.results / f"{bundle.name}.world.json", canonical_json(facts))
    _write(target, paths.HOST_PROGRAM, program.program_bytes(), 0o755)
    _write(target, *program.driver_on_host(settings.role))
    _write(target, paths.PROGRAM, rehearsal_program())
    _write(target, "/root/.ssh/authorized_keys", keys.user_public, 0o600)
    # sshd needs it before the container has started.
    (target / "run/sshd").mkdir(parents=True)
    _write(target, "/etc/ssh/ssh_host_ed25519_key", keys.host_private, 0o600)
    _write(target, f"{paths.FOLDER}/world.json", canonical_json(facts))
    for kind, folder in (("candidate", "bundle"), ("base", "base")):
        source = settings.change / folder / bundle.host
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            name = path.relative_to(source).as_posix()
            _write(target, f"{paths.FOLDER}/{kind}/{name}", path.read_bytes(), 0o600)
    hosts = sorted({host for kind in facts["classes"] for host in kind["hosts"]})
    dialect = load_dialect(settings.role)
    named: dict[str, set[str]] = {"certificates": set(facts["certificates"])}
    for folder in ("bundle", "base"):
        files = _files(settings.change / folder / bundle.host)
        for kind, values in (dialect.references(files) if files else {}).items():
            named.setdefault(kind, set()).update(values)
    trusted = placeholder_files.trusted(
        [*hosts, *sorted(named.get(placeholder_files.SERVER_NAMES, ()))]
    )
    if facts["over_tls"]:
        _write(target, paths.STUB_CERTIFICATE, trusted.certificate, 0o600)
    for name, content in placeholder_files.contents(named, trusted).items():
        _write(target, name, content, 0o644)


def _world(
    manifest: Mapping[str, Any],  # of any release's schema
    digest: str,
    bundle: Bundle,
    settings: Settings,
    plan: Plan,
) -> World:
    base = settings.change / "base" / bundle.host
    names = sorted(p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file())
    files = [_files(settings.change / part / bundle.host) for part in ("base", "bundle")]
    made = with_references(plan, load_dialect(settings.role), *files)
    live, new = (
        [
            path.read_text(encoding="utf-8", errors="replace")
            for path in sorted((settings.change / part / bundle.host).rglob("*"))
            if path.is_file()
        ]
        for part in ("base", "bundle")
    )
    headers = sorted({value for kind in made["classes"] for value in kind["headers"].values()})
    return {
        **made,
        "words": words_of_all([*live, *new]),
        "base_words": {
            **words_of_all(live),
            "headers": [value for value in headers if any(value in text for text in live)],
        },
        "balancer": settings.balancer,
        "change_id": manifest["change_id"],
        "digest": digest,
        "release": bundle.release,
        "files": manifest["hosts"][bundle.host]["files"],
        "base": {"release": bundle.base if names else None, "files": names},
        "waived_requests": waived_requests(manifest),
        # The same bundle gets the same traffic.
        "seed": int(bundle.release[:8], 16),
    }


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}


def _write(target: Path, name: str, content: bytes, mode: int = 0o644) -> None:
    path = target / name.lstrip("/")
    for folder in reversed(path.relative_to(target).parents):
        # The container's folders need this mode, whatever the umask.
        (target / folder).mkdir(parents=True, exist_ok=True)
        (target / folder).chmod(0o755)
    path.write_bytes(content)
    path.chmod(mode)


@dataclass(frozen=True)
class Keys:
    """The key pairs of one run: Ansible's, and the containers', which Ansible verifies."""

    user_private: bytes
    user_public: bytes
    host_private: bytes
    host_public: bytes

    @classmethod
    def make(cls) -> Keys:
        """Make both pairs, in OpenSSH's formats."""
        return cls(*_pair(), *_pair())


def _pair() -> tuple[bytes, bytes]:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return private, public + b"\n"


def main(folder: Path) -> int:
    """Put together the files of every distinct bundle; gives an exit code."""
    try:
        settings = Settings.read()
        shutil.rmtree(folder / "payload", ignore_errors=True)
        settings.results.mkdir(parents=True, exist_ok=True)
        keys = Keys.make()
        bundles = settings.bundles()
        for bundle in bundles:
            payload(bundle, settings, folder / "payload" / bundle.name, keys)
        write_atomically(folder / "id_ed25519", keys.user_private)
        known = [bundle.name.encode() + b" " + keys.host_public for bundle in bundles]
        write_atomically(folder / "known_hosts", b"".join(known))
    except EvenkeelError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
