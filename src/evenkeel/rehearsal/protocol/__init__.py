"""What both sides share: paths, headers, HTTP and the types of what travels between them."""
