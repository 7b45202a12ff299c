"""What a container of the corpus is given when it starts."""

from evenkeel_proof.corpus.containers import PROGRAM, Container

from evenkeel.containers.names import ROOT
from evenkeel.host.system import driver


def test_a_container_finds_a_driver_that_it_may_load_and_its_program(tmp_path):
    container = Container(1, ROOT / "roles" / "balancer_haproxy")
    container._lay_out(tmp_path)
    assert driver.load("haproxy", f"{tmp_path}{driver.DRIVERS}").KIND == "haproxy"
    assert (tmp_path / PROGRAM[1:]).is_file()
