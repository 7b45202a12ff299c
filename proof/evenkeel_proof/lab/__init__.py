"""The embedded lab: a small fleet of real hosts in containers, with web servers and clients.

    fleet = lab.start(3)      # lb1, lb2, lb3; web1 … web5; a client
    lab.load()                # the one that runs
    lab.stop()                # all of it is gone

Standard library only, so that it runs before the virtual environment exists.
"""

from evenkeel.containers.images import image
from evenkeel_proof.lab.lifecycle import start, stop
from evenkeel_proof.lab.running import Fleet, load

__all__ = ["Fleet", "image", "load", "start", "stop"]
