"""What both sides of the wire agree on: paths, headers, HTTP, the record of a check."""
