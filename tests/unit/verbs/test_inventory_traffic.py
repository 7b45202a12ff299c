"""A traffic profile is a part of the change: read at render, bound by the digest, followed."""

import json

import pytest
from unit.intent.intents import intent
from unit.rehearsal.changes import ROLE

from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EXIT_REFUSED, Problems, Refused
from evenkeel.profile.traffic_profile import DEFAULT
from evenkeel.rehearsal import bundles, ship
from evenkeel.rehearsal.bundles import Settings
from evenkeel.verbs.host_facts import Host
from evenkeel.verbs.inventory import profile_diff, profile_of, traffic_lines
from evenkeel.verbs.render import Request, render

TEXT = DEFAULT.model_copy(update={"clients": 700}).model_dump_json(indent=2).encode() + b"\n"


@pytest.fixture
def inventory(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "profile.json").write_bytes(TEXT)
    return tmp_path


def read(folder, *given):
    names = [f"lb{number}" for number in range(len(given))]
    values = {"inventory_dir": str(folder)}
    return profile_of(
        names, {n: {**values, "traffic_profile": g} for n, g in zip(names, given, strict=True)}
    )


def rendered(changes, name="c1", profile=None, write=True):
    folder = ChangeFolder(changes / name)
    request = Request(folder, "ann", "Two more", "haproxy", ROLE, profile=profile)
    return folder, render(request, {"lb1": Host(intent(), None)}, write=write)


def test_the_file_is_named_from_the_inventory_s_folder_or_from_the_root(inventory):
    assert read(inventory, "files/profile.json") == TEXT
    assert read(inventory, str(inventory / "files" / "profile.json")) == TEXT


@pytest.mark.parametrize("given", [None, ""])
def test_without_the_variable_there_is_none(inventory, given):
    assert read(inventory, given) is None


@pytest.mark.parametrize("given", [7, ["files/profile.json"], "files/none.json", "files"])
def test_what_is_no_file_is_refused_with_its_place(inventory, given):
    with pytest.raises(Refused, match="traffic profile cannot be read") as refused:
        read(inventory, given)
    assert refused.value.exit_code == EXIT_REFUSED


def test_every_fault_is_named_at_once(inventory):
    path = inventory / "files" / "profile.json"
    path.write_text(json.dumps({"clients": 0, "methods": {"FETCH": 1}, "rows": [{"path": "x"}]}))
    with pytest.raises(Problems) as refused:
        read(inventory, "files/profile.json")
    assert refused.value.exit_code == EXIT_REFUSED
    assert len(refused.value.problems) >= 4
    assert str(path) in str(refused.value)


def test_the_hosts_of_one_change_have_one_profile(inventory):
    (inventory / "copy.json").write_bytes(TEXT)
    assert read(inventory, "files/profile.json", "copy.json") == TEXT
    (inventory / "copy.json").write_bytes(TEXT.replace(b"700", b"701"))
    for other in ("copy.json", None):
        with pytest.raises(Problems, match="do not agree"):
            read(inventory, "files/profile.json", other)


def test_the_digest_binds_the_profile(tmp_path):
    folder, plain = rendered(tmp_path)
    assert not folder.profile_json.exists()
    _, made = rendered(tmp_path, profile=TEXT)
    assert made["changed"]
    assert made["digest"] != plain["digest"]
    assert folder.verify_bundle() == made["digest"]
    assert folder.profile_json.read_bytes() == TEXT
    assert not rendered(tmp_path, profile=TEXT)[1]["changed"]


@pytest.mark.parametrize("content", [b"{}", None])
def test_an_altered_or_missing_profile_is_refused_by_name(tmp_path, content):
    folder, _ = rendered(tmp_path, profile=TEXT)
    if content is None:
        folder.profile_json.unlink()
    else:
        folder.profile_json.write_bytes(content)
    with pytest.raises(Problems, match=r"traffic_profile\.json"):
        folder.verify_bundle()


def test_a_profile_that_nobody_rendered_is_refused(tmp_path):
    folder, _ = rendered(tmp_path)
    folder.profile_json.symlink_to("/dev/null")
    with pytest.raises(Problems, match=r"traffic_profile\.json"):
        folder.verify_bundle()


def test_a_profile_that_is_taken_away_leaves_nothing_behind(tmp_path):
    rendered(tmp_path, profile=TEXT)
    folder, made = rendered(tmp_path)
    assert made["changed"]
    assert folder.verify_bundle() == made["digest"]


def test_check_mode_writes_no_profile_and_says_that_the_digest_would_change(tmp_path):
    folder, made = rendered(tmp_path, profile=TEXT, write=False)
    assert made["changed"]
    assert not folder.path.exists()


def test_a_person_reads_which_traffic_will_be_sent(tmp_path):
    (line,) = traffic_lines(TEXT)
    assert "700 clients" in line
    assert line in rendered(tmp_path, profile=TEXT)[1]["summary"]
    assert traffic_lines(None) == []


def test_the_difference_is_that_from_the_change_that_is_live(tmp_path):
    rendered(tmp_path, "before", TEXT)
    folder, _ = rendered(tmp_path, "after")
    new = TEXT.replace(b"700", b"900")
    (found,) = profile_diff(folder, ["before", "before", None], new)
    assert (found["before"], found["after"]) == (TEXT.decode(), new.decode())
    assert profile_diff(folder, ["before"], TEXT) == []
    assert profile_diff(folder, [None], None) == []


def test_the_rehearsal_follows_the_profile_of_the_change(tmp_path):
    folder, _ = rendered(tmp_path, profile=TEXT)
    settings = Settings(folder.path, tmp_path / "results", ROLE, None)
    (bundle,) = bundles.distinct(folder.manifest())
    ship.payload(bundle, settings, tmp_path / "tree", ship.Keys.make())
    world = json.loads((tmp_path / "results" / f"{bundle.name}.world.json").read_text())
    assert {kind["clients"] for kind in world["classes"]} == {700}
    assert world["profile"]["sha256"] == folder.manifest()["traffic_profile"]
