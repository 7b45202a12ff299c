"""The servers of the rehearsal: they answer, fail on order and show who was reached."""
