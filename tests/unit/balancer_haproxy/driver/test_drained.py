"""Which servers HAProxy's driver takes for drained: those that run time took out, and no others."""

import pytest
from unit.balancer_haproxy.driver_parts import driver, part

HEAD = "be_name srv_name srv_admin_state srv_uweight srv_iweight"


class Master(part("master").Master):
    """A master that answers with a table of servers, and remembers what it is told."""

    def __init__(self, *rows: str) -> None:
        super().__init__("/nowhere")
        self._rows = rows
        self.told: list[str] = []

    def worker(self) -> int:
        return 7

    def ask(self, command: str, timeout_seconds: float = 1.0) -> str:
        if command.endswith("show servers state"):
            return "\n".join(["1", f"# {HEAD}", *self._rows, ""])
        self.told.append(command)
        return "\n"


@pytest.mark.parametrize(
    ("admin", "weights", "status"),
    [
        (0x00, "100 100", None),
        (0x00, "50 100", None),
        (0x00, "0 0", None),
        (0x04, "100 100", None),
        (0x08, "100 100", "draining"),
        (0x00, "0 100", "draining"),
        (0x01, "100 100", "inactive"),
        (0x05, "100 100", None),
    ],
    ids=[
        "in_service",
        "less_weight",
        "drained_by_the_configuration",
        "disabled_by_the_configuration",
        "state_drain",
        "weight_0",
        "state_maint",
        "disabled_twice",
    ],
)
def test_a_server_is_drained_when_run_time_took_it_out(admin, weights, status):
    master = Master(f"web web1 {admin} {weights}", "web web2 0 100 100")
    found = driver.HAProxy(master).drained()
    assert found == ({"web": {"web1": status}} if status else {})


@pytest.mark.parametrize(("weights", "orders"), [("0 100", 2), ("50 100", 1), ("0 0", 1)])
def test_undrain_gives_back_a_weight_that_was_taken_altogether_and_no_other(weights, orders):
    master = Master(f"web web1 8 {weights}", "web web2 0 0 100")
    driver.HAProxy(master).undrain("web", "web1")
    wanted = ["@!7 set server web/web1 state ready", "@!7 set server web/web1 weight 100%"]
    assert master.told == wanted[:orders]
