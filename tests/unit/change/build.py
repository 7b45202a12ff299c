"""Sample changes for tests: a folder with every file and record that the verbs would have left."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from evenkeel.change.difference import unified_diff
from evenkeel.change.folder import ChangeFolder
from evenkeel.change.ledger import APPROVAL, CANARY, OUTCOME, RENDER, STAGING, verify_chain
from evenkeel.change.rollout import Place, Rollout
from evenkeel.records import (
    Record,
    canonical_json,
    read_record,
    sha256_of,
    write_atomically,
    write_record,
)

HOSTS = ("lb1", "lb2", "lb3")
BASE = b"backend app\n    balance roundrobin\n    server web1 10.0.0.1:80\n"
CONFIG = BASE + b"    server web2 10.0.0.2:80\n"
INTENT = {"guardrails": {"largest_shift_points": 25}}
SHARES = {"web1": (1.0, 0.5), "web2": (0.0, 0.5)}


def make_key(path: Path) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)],
        check=True,
        timeout=20,
    )
    return path


def public_key(key: Path) -> str:
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def forecast(shares=SHARES) -> dict:
    servers = {
        name: {"before": a, "after": b, "shift_points": round(100 * (b - a), 2)}
        for name, (a, b) in shares.items()
    }
    pool = {
        "change": "changed",
        "algorithm": ["round_robin", "round_robin"],
        "server_count": [1, len(shares)],
        "basis": "weights",
        "why": "",
        "servers": servers,
        "largest_shift_points": 50.0,
    }
    return {
        "schema_version": 1,
        "base": "known",
        "pools": {"app": pool},
        "routes": {"added": [], "removed": [], "changed": [], "reordered": []},
        "listeners": {"added": [], "removed": [], "changed": []},
        "settings": [],
        "touched_pools": ["app"],
        "largest_shift_points": 50.0,
        "guardrails": [],
        "summary": ["Pool app: changed, round_robin, 1 → 2 servers; largest shift 50.0 points"],
    }


def observed(counts=None, verdict="pass", *, errors=0, reasons=(), **more) -> dict:
    """An answer to `observe`, as the on-host judge gives it."""
    counts = {"web1": 200, "web2": 201} if counts is None else counts
    total = sum(counts.values())
    servers = {
        name: {
            "requests": count,
            "segment_requests": count,
            "share": count / total if total else 0.0,
            "intended": 1 / len(counts),
            "low": max(0.0, count / total - 0.1) if total else 0.0,
            "high": min(1.0, count / total + 0.1) if total else 1.0,
            "status": "active",
        }
        for name, count in counts.items()
    }
    pool = {
        "verdict": verdict,
        "reasons": list(reasons),
        "required": True,
        "judged": "share",
        "unit": "requests",
        "requests": total,
        "errors": errors,
        "servers": servers,
        "share": {"tolerance": 0.3, "alpha": 0.005, "pass_alpha": 0.005, "minimum_requests": 200},
    }
    return {
        "ok": True,
        "verb": "observe",
        "verdict": verdict,
        "reasons": list(reasons),
        "pools": {"app": pool},
        "requests": total,
        "errors": errors,
        "seconds": 12.0,
        "reverted": False,
        **more,
    }


def result(host, role="canary", status="ok", verb="observe", **more) -> dict:
    """A result file of one host in one stage."""
    answer = more.pop("answer", None) or observed(**more)
    return {"host": host, "role": role, "verb": verb, "status": status, "result": answer}


@dataclass
class Sample:
    """A change under `changes` by `author`. Each method leaves what its verb leaves."""

    changes: Path
    change_id: str = "2024-06-20-two-more"
    author: str = "alice"
    hosts: tuple = HOSTS
    title: str = "Two more servers"
    about: dict = field(default_factory=dict)
    rollout: dict = field(default_factory=dict)

    def __post_init__(self):
        self.path = self.changes / self.change_id
        self.folder = ChangeFolder(self.path)

    def rendered(self, config=CONFIG, forecast_of=SHARES):
        for host in self.hosts:
            write_atomically(self.path / "bundle" / host / "haproxy.cfg", config)
            write_atomically(self.path / "base" / host / "haproxy.cfg", BASE)
            self.folder.write_json(f"intent/{host}.json", INTENT)
        facts = {"sha256": sha256_of(config), "size": len(config), "mode": "0640"}
        release = sha256_of(canonical_json({"files": {"haproxy.cfg": facts["sha256"]}}))
        base = sha256_of(canonical_json({"files": {"haproxy.cfg": sha256_of(BASE)}}))
        self.folder.write_json(
            "manifest.json",
            {
                "schema_version": 1,
                "change_id": self.change_id,
                "author": self.author,
                "balancer_kind": "haproxy",
                "hosts": {
                    host: {
                        "release": release,
                        "base": base,
                        "intent": sha256_of(canonical_json(INTENT)),
                        "files": {"haproxy.cfg": facts},
                    }
                    for host in self.hosts
                },
            },
        )
        about = {"change_id": self.change_id, "author": self.author, "title": self.title}
        about |= {"created": "2024-06-20T13:00:00.000Z", "scheduled": False}
        about |= {"not_before": "", "not_after": ""}
        self.folder.write_json("change.json", about | self.about)
        places = tuple(Place(host) for host in self.hosts)
        rollout = Rollout(places, canary_stages=({"hosts": 1}, {"hosts": "100%"}), **self.rollout)
        self.folder.write_json("rollout.json", rollout.as_dict())
        groups = [{"hosts": list(self.hosts), "forecast": forecast(forecast_of), "policy": {}}]
        self.folder.write_json("forecast.json", {"groups": groups})
        diff = unified_diff({"haproxy.cfg": BASE}, {"haproxy.cfg": config})
        write_atomically(self.path / "diff.txt", f"# {', '.join(self.hosts)}\n{diff}".encode())
        body = {"hosts": list(self.hosts), "groups": groups}
        write_record(self.folder.render_json, self.record(RENDER, None, body, 1))
        return self

    def rehearsed(self, verdict="pass", **body):
        previous = read_record(self.folder.render_json, kind=RENDER, next_step="").sha256
        body = {"verdict": verdict, "bundles": [], **body}
        write_record(self.folder.staging_json, self.record(STAGING, previous, body, 4))
        return self

    def planned(self, sizes=(1, 2)):
        stages, taken = [], 0
        for number, size in enumerate(sizes, 1):
            stages.append(
                {
                    "number": number,
                    "hosts": list(self.hosts[taken : taken + size]),
                    "carriers": list(self.hosts[:taken]),
                    "bake_seconds": 60,
                    "minimum_requests": 200,
                    "lease_seconds": 60,
                }
            )
            taken += size
        self.folder.write_json("canary/plan.json", {"stages": stages})
        return self

    def saw(self, stage, *results):
        for each in results:
            self.folder.write_json(f"canary/{stage}/{each['host']}.json", each)
        return self

    def closed(self, stage, body):
        chain = verify_chain(self.folder, CANARY, stage=stage - 1)
        record = self.record(CANARY, chain.tip.sha256, {"stage": stage, **body}, 10 + stage)
        write_record(self.folder.stage_json(stage), record)
        return self

    def ended(self, body):
        chain = verify_chain(self.folder, CANARY)
        record = self.record(OUTCOME, chain.tip.sha256, body, 40)
        write_record(self.folder.outcome_json, record)
        return self

    def record(self, kind, previous, body, minute) -> Record:
        return Record(
            record=kind,
            change_id=self.change_id,
            digest=sha256_of(self.folder.manifest_json.read_bytes()),
            previous=previous,
            started=f"2024-06-20T13:{minute:02}:00.000Z",
            ended=f"2024-06-20T13:{minute:02}:42.000Z",
            versions={"evenkeel": "0.1.0"},
            body=body,
        )

    def approved_without_signature(self, person="bob"):
        """An approval's record alone: enough for the chain, never for a deploy."""
        previous = read_record(self.folder.staging_json, kind=STAGING, next_step="").sha256
        body = {"approver": person, "expires": "2024-06-23T13:08:00Z"}
        record = self.record(APPROVAL, previous, body, 8)
        write_record(self.folder.approvals / f"{person}.json", record)
        return self

    def copied_to(self, change_id):
        """The same files under another name, as somebody might copy them."""
        other = Sample(self.changes, change_id, self.author, self.hosts)
        shutil.copytree(self.path, other.path)
        return other
