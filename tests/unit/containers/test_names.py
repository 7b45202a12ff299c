"""Names and addresses of labs: two checkouts never meet, and nothing unsafe becomes a name."""

import ipaddress
from itertools import islice
from pathlib import Path

import pytest

from evenkeel.containers import names
from evenkeel.errors import UsageError


@pytest.fixture(autouse=True)
def _no_name_given(monkeypatch):
    monkeypatch.delenv("EVENKEEL_LAB", raising=False)


def test_two_checkouts_with_the_same_folder_name_have_different_labs():
    one, other = names.lab_name(Path("/a/evenkeel")), names.lab_name(Path("/b/evenkeel"))
    assert one != other
    assert one.startswith("evenkeel-")


@pytest.mark.parametrize("folder", ["Ünï cödé", "a" * 200, "---", "x.y_z", "…"])
def test_a_name_made_from_any_folder_is_one_that_would_be_accepted(folder, monkeypatch):
    made = names.lab_name(Path("/srv") / folder)
    monkeypatch.setenv("EVENKEEL_LAB", made)
    assert names.lab_name(Path("/elsewhere")) == made


@pytest.mark.parametrize("given", ["Lab", "-lab", "a b", "../x", "a\nb", "x" * 41, "lab;rm"])
def test_refuses_a_name_that_cannot_be_part_of_a_container_name(given, monkeypatch):
    monkeypatch.setenv("EVENKEEL_LAB", given)
    with pytest.raises(UsageError, match="no name for a lab"):
        names.lab_name()


def test_a_lab_tries_the_same_networks_each_time_and_never_one_twice():
    tried = list(names.subnets("shop"))
    assert tried == list(names.subnets("shop"))
    assert len(set(tried)) == len(tried) > 10
    assert all(subnet.subnet_of(ipaddress.IPv4Network("10.64.0.0/10")) for subnet in tried)
    assert next(names.subnets("other")) != tried[0]


def test_every_machine_of_the_largest_fleet_has_an_address_of_its_own():
    subnet = next(islice(names.subnets("shop"), 1))
    plan = names.addresses(subnet, names.LARGEST_FLEET)
    every = [address for group in plan.values() for address in group.values()]
    assert len(set(every)) == len(every) == names.LARGEST_FLEET + names.WEB_SERVERS + 1
    assert all(ipaddress.IPv4Address(address) in subnet for address in every)


@pytest.mark.parametrize("balancers", [0, -1, names.LARGEST_FLEET + 1])
def test_refuses_a_fleet_that_the_address_plan_has_no_room_for(balancers):
    with pytest.raises(UsageError, match="so many balancers"):
        names.addresses(next(names.subnets("shop")), balancers)
