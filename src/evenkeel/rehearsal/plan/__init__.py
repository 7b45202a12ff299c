"""What the rehearsal is going to do, decided before a container starts."""
