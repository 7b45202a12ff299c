"""The program inside the container: it starts the parts, sends the load and measures."""
