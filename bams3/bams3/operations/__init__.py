"""One module per command, and what serves a single one of them."""
