"""The headers by which the load client and the stub servers understand each other.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

# An answer carries this: the endpoint of the server that gave it.
IDENTITY = "x-evenkeel-server"
# A request of the load client carries this; what comes without it is the balancer's health check.
OURS = "x-evenkeel"
# What the server was told comes back in the answer, as JSON.
ECHO = "x-evenkeel-echo"
# The request waits until so many are with the servers at the same time.
HOLD = "x-evenkeel-hold"
# So many seconds pass before the answer: a request as slow as production's slowest.
SLOW = "x-evenkeel-slow"
