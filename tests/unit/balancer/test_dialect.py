"""A role's dialect: loaded once from the same files, anew from others, refused when incomplete."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evenkeel.balancer.dialect import load_dialect
from evenkeel.errors import Refused

ROLE = Path(__file__).parents[3] / "roles" / "balancer_haproxy"


@pytest.fixture
def role(tmp_path):
    copy = tmp_path / "balancer_other"
    shutil.copytree(ROLE / "files", copy / "files")
    return copy


def test_the_same_files_are_loaded_once(role):
    assert load_dialect(role) is load_dialect(role)


def test_a_file_that_changed_is_loaded_anew(role):
    old = load_dialect(role)
    with (role / "files" / "dialect.py").open("a") as file:
        file.write("\nORDERS = 7\n")
    assert (old.orders, load_dialect(role).orders) == (4, 7)


def test_a_changed_file_beside_the_dialect_is_loaded_anew(role):
    load_dialect(role)
    with (role / "files" / "handwritten" / "references.py").open("a") as file:
        file.write("\n\ndef references(files):\n    return {'new': []}\n")
    assert load_dialect(role).references({}) == {"new": []}


def test_two_roles_of_one_name_are_not_taken_for_each_other(role, tmp_path):
    other = tmp_path / "elsewhere" / "balancer_other"
    shutil.copytree(role, other)
    with (other / "files" / "dialect.py").open("a") as file:
        file.write("\nORDERS = 7\n")
    assert (load_dialect(role).orders, load_dialect(other).orders) == (4, 7)
    assert (load_dialect(role).orders, load_dialect(other).orders) == (4, 7)


def test_a_role_without_a_dialect_is_refused_by_its_name(tmp_path):
    with pytest.raises(Refused, match="balancer_none has no dialect"):
        load_dialect(tmp_path / "balancer_none")


def test_a_dialect_that_lacks_a_name_is_refused_with_that_name(role):
    with (role / "files" / "dialect.py").open("a") as file:
        file.write("\ndel references\n")
    with pytest.raises(Refused) as refused:
        load_dialect(role)
    assert "no references" in str(refused.value)


def test_a_lock_file_of_an_editor_is_no_file_of_the_role(role):
    (role / "files" / ".#rules.py").symlink_to("somebody@somewhere.1:2")
    (role / "files" / "gone.py").symlink_to("nowhere.py")
    assert load_dialect(role).orders == 4
