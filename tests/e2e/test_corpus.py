"""A handful of the corpus in its real containers, and a configuration by hand."""

from evenkeel_proof.commands import corpus
from evenkeel_proof.corpus import cases, tables

from evenkeel.containers.names import ROOT
from evenkeel.errors import EXIT_REFUSED

ROLE = ROOT / "roles" / "balancer_haproxy"
LIVE = """\
global
    user haproxy
    group haproxy
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend www
    bind :80
    default_backend web
backend web
    balance roundrobin
    server one 10.1.0.1:8080 check inter 1s
    server two 10.1.0.2:8080 check inter 1s
"""


# Of the handful: what render stops, what the container stops, and what must pass.
EACH = ("weight-one-of-three-is-1", "route-shadowed-by-one-before-it", "add-a-server")


def test_a_case_is_stopped_or_let_pass_where_it_has_to_be():
    assert set(EACH) < set(corpus.FAST)
    chosen = [case for case in cases.load_all(corpus.CORPUS) if case.name in EACH]
    assert len(chosen) == len(EACH)
    for result in corpus.run_all(chosen, ROLE, 2):
        assert not result.trouble
        assert tables.in_time(result) if result.wrong else not result.stopped_at, result
        assert not result.native_check_stopped


def test_a_configuration_by_hand_is_judged_by_what_its_users_get(tmp_path, capsys):
    live, changed = tmp_path / "live.cfg", tmp_path / "new.cfg"
    live.write_text(LIVE)
    changed.write_text(LIVE.replace("10.1.0.1:8080 check", "10.1.0.1:8080 check weight 9"))
    words = ["--case", str(changed), "--baseline", str(live)]
    assert corpus.main(words) == EXIT_REFUSED
    assert "server one" in capsys.readouterr().out
