"""HAProxy's configuration language: words, lines, sections. Shipped to hosts with the driver."""
