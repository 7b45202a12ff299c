"""What makes a container less than sealed is told by its name."""

from evenkeel.rehearsal.checks import isolation

STATUS = "Name:\tinit\nCapBnd:\t{:016x}\nNoNewPrivs:\t{}\n"
MOUNTS = """\
1 0 0:1 / / rw - overlay overlay rw
2 1 8:1 /x/hosts /etc/hosts rw - ext4 /dev/sda1 rw
3 1 0:5 / /proc rw - proc proc rw
"""


def test_a_link_beside_lo_is_told():
    assert isolation.network(["lo"]) == ""
    assert isolation.network(["lo", "eth0"]) == "eth0, lo"


def test_a_capability_that_reaches_out_and_a_way_to_gain_one_are_told():
    assert isolation.rights(STATUS.format(1 << 12, 1)) == ""
    assert isolation.rights(STATUS.format(1 << 21, 0)) == "21, new privileges"


def test_a_disk_of_the_machine_is_told_where_it_is_mounted():
    assert isolation.mounts(MOUNTS) == ""
    assert isolation.mounts(MOUNTS + "4 1 8:1 /root /srv rw - ext4 /dev/sda1 rw\n") == "/srv"
