"""The commands that prove or measure the product: `scripts/<name>` starts each of them."""
