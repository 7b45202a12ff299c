"""The fault suite: real hosts are hurt on purpose, and none of them may be left stranded.

Each part hurts one host of a lab, waits for what the host does about it, and notes in a `Tally` how
that ended. Nothing here knows a balancer: what only its kind can be hurt by is in the role's own
`files/injection.py`.
"""
