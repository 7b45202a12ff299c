"""What a balancer's role provides: the contract, its types, its loader, and the engine of rules."""
