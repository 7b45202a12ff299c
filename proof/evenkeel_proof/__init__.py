"""What proves Evenkeel: the lab, the corpus, injected faults, simulations and their commands.

The product imports nothing of it, and no wheel holds it.
"""
