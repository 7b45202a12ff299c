"""The rehearsal: one change, its exact bytes, in a sealed container with traffic.

`world` says what must exist in the container, `stub` and `traffic` are the servers and the clients
in it, `inside` is the program that runs there, `checks` turns what it measured into verdicts, and
`staging` is the controller's side of a whole run.
"""
