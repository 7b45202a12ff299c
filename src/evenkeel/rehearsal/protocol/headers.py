"""The headers that the load client and the stub servers exchange.

Standard library only: it runs inside the staging container.
"""

from __future__ import annotations

# In a response: the endpoint of the server.
IDENTITY = "x-evenkeel-server"
# In requests of the load client; health checks have none.
OURS = "x-evenkeel"
# Asks for the request back, as JSON.
ECHO = "x-evenkeel-echo"
# Waits until this many requests are with the servers.
HOLD = "x-evenkeel-hold"
# Delays the response by this many seconds.
SLOW = "x-evenkeel-slow"
