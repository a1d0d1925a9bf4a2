"""Selection of records and of their columns: queries, filter expressions, and counts for many regions."""
