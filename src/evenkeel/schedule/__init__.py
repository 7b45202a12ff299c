"""Scheduled deploys: approved changes that are due, deployed stage by stage."""
