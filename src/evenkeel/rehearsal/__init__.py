"""The rehearsal: one change, its exact bytes, in a sealed container with traffic.

`plan` says what must exist in the container. `stubs` are the servers in it and `load` the clients.
`run` is the program inside, `checks` turns its measurements into verdicts, and `protocol` is what
both sides share. `bundles`, `ship`, `staging` and `outcome` are the controller's side.
"""
