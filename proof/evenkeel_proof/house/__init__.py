"""The figures of the house: how large, flat, deep and plain the code is."""
