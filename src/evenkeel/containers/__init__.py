"""Containers of the rehearsal and the lab: their names, podman, and the images they start from."""
