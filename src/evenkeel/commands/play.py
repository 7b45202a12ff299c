"""ansible-playbook for a command in which seconds count: `scripts/rollback`.

It is Ansible's own, with one thing less: Python looks for garbage after every few hundred new
objects, and Ansible makes half a million while it loads, next to none of them garbage.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

OBJECTS_UNTIL_GARBAGE = 100_000


def main() -> None:
    """Run ansible-playbook with the arguments of this command; it exits with its own code."""
    gc.set_threshold(OBJECTS_UNTIL_GARBAGE)
    # By its path: ssh then finds `ansible` beside it for passwords.
    sys.argv[0] = str(Path(sys.executable).with_name("ansible-playbook"))
    from ansible.cli.playbook import main as ansible_playbook

    ansible_playbook()


if __name__ == "__main__":
    main()
