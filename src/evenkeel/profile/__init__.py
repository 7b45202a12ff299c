"""The traffic profile: what users send, learnt from an access log."""
