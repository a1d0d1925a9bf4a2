"""A dataset as the BAM that it was, without converting it."""
