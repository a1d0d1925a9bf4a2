"""Which records of a dataset, and which of their columns: queries, filter expressions, counts of many regions."""
