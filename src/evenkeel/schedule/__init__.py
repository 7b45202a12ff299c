"""Deploys that nobody watches: changes that are approved and due, stage by stage."""
