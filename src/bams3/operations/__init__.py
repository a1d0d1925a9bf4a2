"""What is done with alignments, a module each: convert, query, coverage, export, stats, verify, inspect.

They know nothing of each other but the records that `query` selects; `filters` (expressions), `select` (kernels)
and `sam` (text) serve them.
"""
