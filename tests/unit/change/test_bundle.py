"""The files of a fleet: exact, shared, in few orders, and nothing in them that the intent lacks."""

from __future__ import annotations

import copy
import io
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.intent.intents import intent, listener, pool, server
from unit.intent.strategies import intents

from evenkeel.change.bundle import manifest, orders_of, release_archive, render_fleet
from evenkeel.errors import Problems, Refused
from evenkeel.host.state.archive import release_digest, unpack
from evenkeel.records import canonical_json, sha256_of

ROLE = Path(__file__).parents[3] / "roles" / "balancer_haproxy"
FLEET = [f"lb{number:02}" for number in range(1, 11)]


def config(data, **more):
    return render_fleet({"lb1": data}, role_dir=ROLE, **more).files["lb1"]["haproxy.cfg"].decode()


def shape(text):
    """Give the first word of each line: what kind of line it is."""
    return [line.split()[0] if line.split() else "" for line in text.split("\n")]


def test_hosts_with_one_intent_share_at_most_four_releases():
    data = intent(pools=[pool(servers=8)])
    bundle = render_fleet({host: copy.deepcopy(data) for host in FLEET}, role_dir=ROLE)
    groups = bundle.hosts_of()
    assert len(groups) == 4
    assert sorted(host for hosts in groups.values() for host in hosts) == FLEET
    assert bundle.files["lb01"] is bundle.files["lb05"]


def test_each_order_begins_with_another_server():
    bundle = render_fleet(dict.fromkeys(FLEET[:4], intent(pools=[pool(servers=4)])), role_dir=ROLE)
    first = [
        next(
            line for line in files["haproxy.cfg"].decode().split("\n") if line[:11] == "    server "
        )
        for _, files in sorted(bundle.files.items())
    ]
    assert [line.split()[1] for line in first] == ["web1", "web2", "web3", "web4"]


@pytest.mark.parametrize(
    "algorithm", [{"kind": "first"}, {"kind": "hash", "key": "uri", "consistent": False}]
)
def test_the_order_stays_where_it_has_a_meaning(algorithm):
    data = intent(pools=[pool(servers=4, algorithm=algorithm)])
    assert len(render_fleet(dict.fromkeys(FLEET, data), role_dir=ROLE).hosts_of()) == 1


def test_the_order_of_a_host_does_not_depend_on_which_hosts_are_rendered():
    data = intent()
    whole = render_fleet(dict.fromkeys(FLEET, data), role_dir=ROLE)
    part = render_fleet({"lb03": data}, role_dir=ROLE, fleet=FLEET)
    assert part.releases == {"lb03": whole.releases["lb03"]}
    assert orders_of(reversed(FLEET), 4) == orders_of(FLEET, 4)


@settings(deadline=None, max_examples=40)
@given(intents(), st.integers())
def test_the_digest_does_not_depend_on_the_order_of_keys(data, seed):
    def shuffled(value):
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in chance.sample(list(value), len(value))}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    chance = random.Random(seed)
    one = render_fleet({"a": data, "b": data}, role_dir=ROLE)
    other = render_fleet({"b": shuffled(data), "a": shuffled(data)}, role_dir=ROLE)
    assert one.releases == other.releases
    assert manifest("c", "x", "haproxy", one, {}) == manifest("c", "x", "haproxy", other, {})


def plain_text(value):
    """Give the same intent with harmless text where a person may write almost anything."""
    result = copy.deepcopy(value)
    for one in result["listeners"]:
        for route in one["routes"]:
            route["paths"] = [f"/p{n}" for n, _ in enumerate(route["paths"])]
            route["path_prefixes"] = [
                f"/q{n}" + "/" * prefix.endswith("/")
                for n, prefix in enumerate(route["path_prefixes"])
            ]
            route["headers"] = [{"name": "x", "value": "y"} for _ in route["headers"]]
    return result


@settings(deadline=None, max_examples=60)
@given(intents())
def test_no_accepted_text_adds_a_line_or_a_directive(data):
    for one in data["listeners"]:
        for number, route in enumerate(one["routes"]):
            route["hosts"] = [f"h{number}.example"]
    assert shape(config(data)) == shape(config(plain_text(data)))


def put_pool(data, text):
    data["pools"][0]["name"] = data["listeners"][0]["default_pool"] = text
    data["listeners"][0]["routes"][0]["pool"] = text


def in_route(key, wrap):
    return lambda data, text: data["listeners"][0]["routes"][0].update({key: wrap(text)})


def in_pool(key, wrap):
    return lambda data, text: data["pools"][0].update({key: wrap(text)})


# Where a person writes text, and a harmless text for that place.
PLACES = [
    (put_pool, "a"),
    (lambda data, text: data["listeners"][0].update(name=text), "a"),
    (lambda data, text: data["listeners"][0].update(extra=[text]), "option a"),
    (lambda data, text: data["listeners"][0]["binds"][0].update(tls={"certificate": text}), "/a"),
    (lambda data, text: data["listeners"][0]["binds"][0].update(address=text), "10.0.0.9"),
    (lambda data, text: data["pools"][0]["servers"][0].update(name=text), "a"),
    (lambda data, text: data["pools"][0]["servers"][0].update(address=text), "10.0.0.9"),
    (lambda data, text: data.update(extra={"global": [text]}), "option a"),
    (lambda data, text: data.update(extra={"defaults": [text]}), "option a"),
    (in_route("name", str), "a"),
    (in_route("hosts", lambda text: [text]), "a"),
    (in_route("paths", lambda text: [text]), "/a"),
    (in_route("headers", lambda text: [{"name": "x", "value": text}]), "a"),
    (in_route("headers", lambda text: [{"name": text, "value": "x"}]), "a"),
    (in_pool("extra", lambda text: [text]), "option a"),
    (in_pool("stickiness", lambda text: {"cookie": text}), "a"),
    (in_pool("check", lambda text: {"kind": "http", "path": text}), "/a"),
    (in_pool("check", lambda text: {"kind": "http", "host": text}), "a"),
    (in_pool("algorithm", lambda text: {"kind": "hash", "key": "header", "name": text}), "a"),
]
PIECES = ["\n", "\r", "\\", "'", '"', "#", " ", "/", "server", "backend", "evil", "a", "{", "%["]
EVIL = st.text(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def written(place, text):
    """Give how many lines are printed with `text` at `place`, and those that make the structure."""
    route = {"name": "r", "pool": "shop", "paths": ["/x"]}
    data = intent(listeners=[listener(routes=[route])])
    place(data, text)
    lines = shape(config(data))
    structure = ("global", "defaults", "frontend", "backend", "bind", "server", "use_backend")
    return len(lines), [word for word in lines if word in structure]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(PLACES), EVIL)
def test_any_text_anywhere_is_refused_or_stays_a_word(case, text):
    place, harmless = case
    try:
        found = written(place, text)
    except Refused:
        return
    assert found == written(place, harmless)


@pytest.mark.parametrize(
    "line",
    [
        "backend evil",
        '"backend" evil',
        "back\\end evil",
        "listen evil",
        "server evil 10.9.9.9:80",
        "use_backend evil",
        "bind :81",
        "balance first",
        "# comment",
        ".if true",
        "option 'open",
        r"option \x4",
        'http-request deny if { path_reg "^/a$" }',  # in double quotes $ begins a variable
        "Option x",
    ],
)
def test_refuses_an_extra_line_that_opens_a_section_or_says_what_the_intent_says(line):
    with pytest.raises(Problems) as caught:
        config(intent(pools=[pool(extra=[line])]))
    assert caught.value.problems[0].path == "intent.pools[0].extra[0]"


@pytest.mark.parametrize(
    "line",
    [
        "lua-load /tmp/x.lua",
        "lua-load-per-thread /tmp/x.lua",
        "lua-prepend-path /tmp/?.lua",
        "external-check",
        "option external-check",
        "option 'external-check'",
        "no option external-check",
        r"option external\x2dcheck",
        "insecure-fork-wanted",
        "insecure-setuid-wanted",
        "program evil",
        "user root",
        "uid 0",
        "group root",
        "gid 0",
        "chroot /",
        "setenv A b",
        "presetenv A b",
        "stats socket /tmp/admin level admin",
        'stats "socket" /tmp/admin',
        "server-state-file /tmp/x",
        "server-state-base /tmp",
        "load-server-state-from-file global",
        "default-server weight 1",
        "use-server web1 if TRUE",
        "http-request return status 200 file /etc/shadow",
        "http-request return content-type text/plain lf-file '/etc/haproxy/certs/site.pem'",
        "http-request deny deny_status 403 file /etc/shadow",
        "http-request tarpit file /etc/shadow if TRUE",
        "http-response return errorfile /etc/shadow",
        "http-error status 503 file /etc/shadow",
        "errorfile 503 /etc/shadow",
        "errorfile 503 /etc/haproxy/../shadow",
        "errorfile 503 errors/503.http",
        ".if defined(X)",
        ".endif",
        "log ${HOME}",
        "option ${WHAT}",
        'http-request set-header X "$HOME"',
        'tune.bufsize "${SIZE}"',
    ],
)
@pytest.mark.parametrize("place", ["global", "listener", "pool"])
def test_refuses_an_extra_line_that_is_dangerous_wherever_it_stands(line, place):
    where = {
        "global": ("intent.extra.global[0]", intent(extra={"global": [line]})),
        "listener": ("intent.listeners[0].extra[0]", intent(listeners=[listener(extra=[line])])),
        "pool": ("intent.pools[0].extra[0]", intent(pools=[pool(extra=[line])])),
    }
    path, data = where[place]
    with pytest.raises(Problems) as caught:
        config(data)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert problem.wanted
    assert problem.got


@pytest.mark.parametrize(
    "line",
    [
        "stats enable",
        "stats uri /stats",
        "option httpclose",
        "no option dontlognull",
        "errorfile 503 /etc/haproxy/errors/503.http",
        "http-request return status 200 content-type text/plain string ok if { path /file }",
        "http-request deny if { path_beg file }",
        "http-request set-header X-Kind file",
        "http-request set-path %[path,regsub(^/a$,/b)]",
        "http-request deny if { path_reg '^/a$' }",
        "usergroup",
        "no",
    ],
)
def test_leaves_other_extra_lines_as_they_are(line):
    assert f"    {line}\n" in config(intent(listeners=[listener(extra=[line])]))


def test_refuses_what_the_balancer_cannot_do_and_says_where():
    data = intent(pools=[pool(servers=1)])
    data["pools"][0]["servers"][0]["weight"] = 300
    with pytest.raises(Problems) as caught:
        config(data)
    assert [problem.path for problem in caught.value.problems] == [
        "intent.pools[0].servers[0].weight"
    ]


@pytest.mark.parametrize("surplus", ["    server evil 10.9.9.9:80", "backend evil", "    bind :81"])
def test_refuses_a_print_that_holds_more_than_the_intent(tmp_path, surplus):
    role = tmp_path / "balancer_haproxy"
    (role / "templates").mkdir(parents=True)
    (role / "files").symlink_to(ROLE / "files")
    source = (ROLE / "templates" / "haproxy.cfg.j2").read_text()
    (role / "templates" / "haproxy.cfg.j2").write_text(source + surplus + "\n")
    with pytest.raises(Refused, match="not what the intent says"):
        render_fleet({"lb1": intent()}, role_dir=role)


def test_a_template_of_ones_own_replaces_ours_and_sees_view_and_intent(tmp_path):
    own = tmp_path / "own.j2"
    own.write_text("{{ max_connections }} {{ intent.pools[0].name }} {{ pools[0].balance[0] }}\n")
    assert config(intent(), template=own) == "2000 shop balance roundrobin\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ pools[0].nothing }}", "nothing"),
        ("{% if %}", "Expected"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ range(99999) | random }}", "second time"),
        ("{{ 1 // 0 }}", "zero"),
    ],
)
def test_refuses_a_template_that_fails_or_prints_something_else_each_time(tmp_path, source, words):
    own = tmp_path / "own.j2"
    own.write_text(source)
    with pytest.raises(Refused) as caught:
        config(intent(), template=own)
    assert words in str(caught.value)
    assert "own.j2" in str(caught.value)


def test_refuses_a_template_that_is_not_there_and_a_role_without_dialect(tmp_path):
    with pytest.raises(Refused, match="cannot be read"):
        config(intent(), template=tmp_path / "missing.j2")
    with pytest.raises(Refused, match="balancer_none"):
        render_fleet({"lb1": intent()}, role_dir=tmp_path / "balancer_none")


def test_names_the_host_whose_intent_is_wrong():
    with pytest.raises(Problems) as caught:
        render_fleet({"lb1": intent(), "lb2": intent(colour="blue")}, role_dir=ROLE)
    assert caught.value.where == "lb2"


def test_the_manifest_names_every_file_by_its_content_and_holds_no_time():
    bundle = render_fleet(dict.fromkeys(FLEET[:2], intent()), role_dir=ROLE)
    plan = manifest("c1", "ada", "haproxy", bundle, {"lb01": "0" * 64})
    assert plan["hosts"]["lb02"]["base"] is None
    for host, entry in plan["hosts"].items():
        data = bundle.files[host]["haproxy.cfg"]
        assert entry["files"]["haproxy.cfg"] == {
            "sha256": sha256_of(data),
            "size": len(data),
            "mode": "0640",
        }
        assert entry["release"] == release_digest(dict(bundle.files[host]))
        assert entry["intent"] == sha256_of(canonical_json(bundle.intents[host]))
    assert canonical_json(plan) == canonical_json(
        manifest("c1", "ada", "haproxy", bundle, {"lb01": "0" * 64})
    )


def test_a_guardrail_changes_the_digest_though_not_the_files():
    loose = intent(guardrails={"largest_shift_points": 99})
    one, other = (render_fleet({"lb1": data}, role_dir=ROLE) for data in (intent(), loose))
    assert one.files == other.files
    assert manifest("c", "x", "haproxy", one, {}) != manifest("c", "x", "haproxy", other, {})


def test_the_archive_of_a_release_is_what_the_host_reads(tmp_path):
    bundle = render_fleet({"lb1": intent()}, role_dir=ROLE)
    plan = canonical_json(manifest("c1", "ada", "haproxy", bundle, {}))
    (tmp_path / "manifest.json").write_bytes(plan)
    folder = tmp_path / "bundle" / "lb1"
    folder.mkdir(parents=True)
    (folder / "haproxy.cfg").write_bytes(bundle.files["lb1"]["haproxy.cfg"])
    archive = release_archive(tmp_path, "lb1")
    release = unpack(io.BytesIO(archive))
    assert release.files == dict(bundle.files["lb1"])
    assert release.digest == bundle.releases["lb1"]
    assert (release.change, release.change_digest) == ("c1", sha256_of(plan))
    assert release_archive(tmp_path, "lb1") == archive
    with pytest.raises(Refused, match="no whole bundle"):
        release_archive(tmp_path, "lb2")


def test_a_server_more_leaves_the_hash_ids_of_the_others_alone():
    def ids(names):
        servers = [server(n, name=name) for n, name in enumerate(names, 1)]
        data = intent(pools=[{"name": "shop", "servers": servers, "algorithm": algorithm}])
        lines = [
            line.split() for line in config(data).split("\n") if line.startswith("    server ")
        ]
        return {words[1]: words[words.index("id") + 1] for words in lines}

    algorithm = {"kind": "hash", "key": "uri"}
    before, after = ids(["a", "b", "c"]), ids(["x", "c", "a", "b"])
    assert before == {name: after[name] for name in before}


def test_more_servers_than_round_robin_can_take_still_take_turns():
    many = [server(n, address=f"10.1.{n >> 8}.{n & 255}") for n in range(1, 4200)]
    text = config(intent(pools=[{"name": "shop", "servers": many}]))
    assert "    balance static-rr\n" in text
    many[7]["weight"] = 7
    with pytest.raises(Problems, match="equal weights"):
        config(intent(pools=[{"name": "shop", "servers": many}]))


def test_problems_of_several_intents_are_reported_at_once_each_with_its_hosts():
    good, wrong = intent(), intent(pools=[pool(servers=2, algorithm={"kind": "fastest"})])
    other = intent(limits={"max_connections": 0})
    fleet = {"lb1": wrong, "lb2": good, "lb3": copy.deepcopy(wrong), "lb4": other}
    with pytest.raises(Problems, match="has 2 problems") as caught:
        render_fleet(fleet, role_dir=ROLE)
    assert caught.value.where == "lb1, lb3, lb4"
    assert {problem.path for problem in caught.value.problems} == {
        "lb1, lb3: intent.pools[0].algorithm.kind",
        "lb4: intent.limits.max_connections",
    }


def test_the_same_problems_on_several_hosts_are_reported_once():
    wrong = intent(limits={"max_connections": 0})
    fleet = {host: copy.deepcopy(wrong) for host in ("lb1", "lb2")}
    with pytest.raises(Problems) as caught:
        render_fleet(fleet, role_dir=ROLE)
    assert [problem.path for problem in caught.value.problems] == ["intent.limits.max_connections"]
    assert caught.value.where == "lb1, lb2"
