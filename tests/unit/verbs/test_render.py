"""Render refuses, before anything is written, what an approver could not read as it stands."""

from pathlib import Path

import pytest
from unit.intent.intents import intent

from evenkeel.change import rollout
from evenkeel.change.approval_view import bound
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import Refused
from evenkeel.verbs.host_facts import Host
from evenkeel.verbs.inventory import from_inventory
from evenkeel.verbs.render import Request, render

ROLE = Path(__file__).parents[3] / "roles" / "balancer_haproxy"


def rendered(folder, **more):
    about = {"author": "ann", "title": "Two more servers"} | more
    request = Request(folder=folder, balancer_kind="haproxy", role_dir=ROLE, **about)
    return render(request, {"lb1": Host(intent(), None)}, write=True)


@pytest.mark.parametrize("key", ["author", "title"])
@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202egood", "x" * 201])
def test_an_author_or_title_that_is_not_plain_text_is_refused(tmp_path, key, text):
    folder = ChangeFolder(tmp_path / "c1")
    with pytest.raises(Refused, match=f"change_{key}"):
        rendered(folder, **{key: text})
    assert not folder.path.exists()


def test_what_is_rendered_is_whole_by_its_own_manifest(tmp_path):
    folder = ChangeFolder(tmp_path / "c1")
    digest = rendered(folder)["digest"]
    assert folder.verify_bundle() == digest
    folder.write_json("intent/lb1.json", {})
    with pytest.raises(Refused, match=r"intent/lb1\.json"):
        folder.verify_bundle()


def test_rendering_the_same_again_leaves_every_file_as_it_is(tmp_path):
    folder = ChangeFolder(tmp_path / "c1")
    assert rendered(folder)["changed"]
    before = folder.render_json.read_bytes()
    assert not rendered(folder)["changed"]
    assert folder.render_json.read_bytes() == before


def test_rendering_again_mends_a_bundle_that_was_altered(tmp_path):
    folder = ChangeFolder(tmp_path / "c1")
    digest = rendered(folder)["digest"]
    (folder.bundle / "lb1" / "haproxy.cfg").write_bytes(b"altered")
    assert rendered(folder)["changed"]
    assert folder.verify_bundle() == digest


def test_another_rollout_leaves_the_rehearsal_and_makes_the_approval_void(tmp_path):
    folder = ChangeFolder(tmp_path / "c1")
    rendered(folder)
    record, shown = folder.render_json.read_bytes(), bound(folder)["shown"]
    held = from_inventory(["lb1"], {"lb1": {"canary_on_inconclusive": "hold"}})
    assert rendered(folder, rollout=held)["changed"]
    assert not rendered(folder, rollout=held)["changed"]
    assert folder.render_json.read_bytes() == record
    assert rollout.load(folder) == held
    assert bound(folder)["shown"] != shown


def test_a_bundle_without_its_rollout_is_not_rendered_whole(tmp_path):
    folder = ChangeFolder(tmp_path / "c1")
    rendered(folder)
    (folder.path / rollout.FILE).unlink()
    assert rendered(folder)["changed"]
    assert rollout.load(folder).hosts == ("lb1",)


@pytest.mark.parametrize(("listener", "refused"), [("web", False), ("wire", True)])
def test_a_probe_needs_a_listener_that_every_host_of_the_change_has(tmp_path, listener, refused):
    folder = ChangeFolder(tmp_path / "c1")
    name = intent()["listeners"][0]["name"] if listener == "web" else listener
    wanted = from_inventory(["lb1"], {"lb1": {"canary_probe": {"listener": name}}})
    if not refused:
        rendered(folder, rollout=wanted)
        assert rollout.load(folder).canary_probe["requests_per_second"] == 5
        return
    with pytest.raises(Refused, match="no listener"):
        rendered(folder, rollout=wanted)
    assert not folder.path.exists()


@pytest.mark.parametrize(
    ("heading", "says"),
    [("", "Nothing changes."), ("# Ours\n", "the files do: see the difference")],
)
def test_another_template_is_never_said_to_change_nothing(tmp_path, heading, says):
    earlier, folder = ChangeFolder(tmp_path / "c1"), ChangeFolder(tmp_path / "c2")
    rendered(earlier)
    live = {"haproxy.cfg": (earlier.bundle / "lb1" / "haproxy.cfg").read_bytes()}
    own = tmp_path / "own.j2"
    own.write_text(heading + (ROLE / "templates" / "haproxy.cfg.j2").read_text())
    request = Request(folder, "ann", "", "haproxy", ROLE, template=own)
    summary = render(request, {"lb1": Host(intent(), live, "c1")}, write=True)["summary"]
    assert says in "\n".join(summary)
