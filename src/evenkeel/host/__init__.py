"""The on-host program: what one balancer host can do alone, with Python's standard library only.

Together with `evenkeel.judge` it is shipped as one file (see `evenkeel.program`). It runs as root
through one sudo rule, so every argument and every byte that reaches it is checked here. Python 3.8
syntax; imports nothing of ours but the judge.
"""
