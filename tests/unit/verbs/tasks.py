"""A task of evenkeel_change for tests: it runs a verb of the controller by its word."""

from evenkeel.verbs.controller import act


class FakeTask:
    """A task about one change's folder; keeps what it shows."""

    def __init__(self, path=None, *, check=False, diff=False):
        self.path = path
        self.check_mode, self.diff_mode = check, diff
        self.shown = []

    def change_folder(self, args):
        return self.path

    def show(self, line):
        self.shown.append(line)


def run(folder, verb, **args):
    """Run a verb about the change in `folder`."""
    return act(FakeTask(folder.path), {"verb": verb, **args}, {})


def fleet(verb, hosts, registered, answers, **args):
    """Run a verb over `hosts`, whose `answers` a task registered before."""
    hostvars = {host: {registered: {"host": answers.get(host)}} for host in hosts}
    task_vars = {"ansible_play_hosts_all": hosts, "hostvars": hostvars}
    return act(FakeTask(), {"verb": verb, **args}, task_vars)


def close_stage(folder, number, leased=None):
    """Close a stage; `leased` are its hosts under lease when it may be held."""
    stage = {"number": number, "leased": leased or [], "hold_seconds": 600 if leased else 0}
    return run(folder, "close_stage", stage=stage)
