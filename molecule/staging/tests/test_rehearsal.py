"""Every check of the rehearsal passed."""

from evenkeel.judge.verdict import PASS


def test_every_check_passed(rehearsed):
    broken = [
        f"{check['verdict']}: {check['title']}: {'; '.join(check['reasons'])}"
        for check in rehearsed.checks
        if check["verdict"] != PASS
    ]
    assert not broken, "\n" + "\n".join(broken)
