"""The policy rules for HAProxy. They run on the controller."""
