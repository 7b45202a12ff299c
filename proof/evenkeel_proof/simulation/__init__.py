"""How good the judge is: streams, shifts, rivals and costs, simulated with seeds.

Nothing of this is shipped to hosts. `scripts/judge_bench` runs it.
"""
