"""The rehearsal: one change, its exact bytes, in a sealed container with traffic.

`plan` decides what must exist in the container. `stubs` are the servers in it and `load` the
clients. `run` is the program inside, `checks` turns its measurements into verdicts, and `protocol`
is what all of them share. `bundles`, `ship`, `staging` and `verifier` are the controller's side.
"""
