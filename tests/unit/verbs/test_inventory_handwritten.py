"""A configuration by hand takes the road as it is: the same bytes, and no word of shares."""

import json

import pytest

from evenkeel.change.folder import ChangeFolder
from evenkeel.containers.names import ROOT
from evenkeel.errors import Problems, Refused
from evenkeel.verbs.host_facts import Host, hosts_from_status
from evenkeel.verbs.inventory import configurations, require_one_template
from evenkeel.verbs.render import Request, render

ROLE = ROOT / "roles" / "balancer_haproxy"
TEXT = b"""\
global
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
    log /dev/log local0
    maxconn 1000
defaults
    log global
    mode http
    option redispatch
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend www
    bind :80
    option forwardfor
    default_backend web
backend web
    option httpchk GET /up
    server one 10.1.0.1:8080 check
    server two 10.1.0.2:8080 check
"""


def read(folder, **variables):
    hostvars = {"lb1": {"inventory_dir": str(folder), **variables}, "lb2": {}}
    return configurations(["lb1", "lb2"], hostvars, "haproxy", ROLE)


def test_the_file_is_named_from_the_inventory_s_folder(tmp_path):
    (tmp_path / "own.cfg").write_bytes(TEXT)
    found = {"lb1": {"haproxy.cfg": TEXT}}
    assert read(tmp_path, balancer_haproxy_config="own.cfg") == found
    assert read(tmp_path, balancer_haproxy_config=str(tmp_path / "own.cfg")) == found


@pytest.mark.parametrize("given", [None, ""])
def test_without_the_variable_there_is_none(tmp_path, given):
    assert read(tmp_path, balancer_haproxy_config=given) == {}


@pytest.mark.parametrize(
    ("given", "content"), [("no.cfg", None), ("a", b""), ("a", b"\0"), (7, b"x")]
)
def test_what_cannot_be_read_is_refused_with_its_path(tmp_path, given, content):
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    with pytest.raises(Refused, match="cannot be read"):
        read(tmp_path, balancer_haproxy_config=given)


def test_a_host_has_an_intent_or_a_file_and_never_both():
    with pytest.raises(Refused, match="has an intent and a configuration"):
        hosts_from_status(["lb1"], {"lb1": {}}, {"lb1": {"x": 1}}, {"lb1": {"haproxy.cfg": TEXT}})


def test_the_bundle_holds_the_bytes_and_the_forecast_claims_nothing(tmp_path):
    folder = ChangeFolder(tmp_path / "changes" / "one")
    request = Request(folder, "ann", "by hand", "haproxy", ROLE, fleet=("lb1",))
    live = {"haproxy.cfg": TEXT.replace(b"30s", b"31s")}
    render(request, {"lb1": Host({}, live, None, {"haproxy.cfg": TEXT})}, write=True)
    assert (folder.bundle / "lb1" / "haproxy.cfg").read_bytes() == TEXT
    assert folder.verify_bundle()
    group = json.loads((folder.path / "forecast.json").read_text())["groups"][0]
    assert group["forecast"]["base"] == "unknown"
    pool = group["forecast"]["pools"]["web"]
    assert (pool["basis"], pool["largest_shift_points"]) == ("unknown", "unknown")
    assert group["policy"]["pools"]["web"]["required"]


def test_one_template_for_every_host_of_a_change_or_none():
    own = {"balancer_haproxy_template": "own.j2"}
    require_one_template(["lb1", "lb2"], {"lb1": own, "lb2": dict(own)}, "haproxy")
    require_one_template(
        ["lb1", "lb2"], {"lb1": {}, "lb2": {"balancer_haproxy_template": ""}}, "haproxy"
    )
    for hosts in ({"lb1": own, "lb2": {}}, {"lb1": {}, "lb2": own}):
        with pytest.raises(Problems, match="do not agree on a template") as refusal:
            require_one_template(["lb1", "lb2"], hosts, "haproxy")
        assert "none, own.j2" in str(refusal.value)
