import sys
from pathlib import Path

import ansible.cli.playbook

from evenkeel.commands import play


def test_ansible_finds_what_gives_ssh_a_password_beside_the_command(monkeypatch):
    called = []
    monkeypatch.setattr(sys, "argv", ["play.py", "-i", "lab", "rollback.yml"])
    monkeypatch.setattr(play.gc, "set_threshold", lambda _: None)
    monkeypatch.setattr(ansible.cli.playbook, "main", lambda: called.append([*sys.argv]))
    play.main()
    [[command, *words]] = called
    assert words == ["-i", "lab", "rollback.yml"]
    assert Path(command).name == "ansible-playbook"
    # Ansible's ssh connection looks there, and else for any `ansible` on the path.
    assert Path(command).with_name("ansible").is_file()
