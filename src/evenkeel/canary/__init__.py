"""Stage by stage: which hosts go when, and whether what was seen lets the next ones go."""
