"""The traffic profile: what a team's users send, learnt from an access log; and its reader."""
