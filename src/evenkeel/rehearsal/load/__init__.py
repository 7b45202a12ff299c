"""The clients of the rehearsal: they send requests and count responses."""
