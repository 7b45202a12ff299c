"""How easy the house is to find one's way in, measured from its code."""
