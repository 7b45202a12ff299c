"""The servers of the rehearsal: they answer, fail on order and report who was reached."""
