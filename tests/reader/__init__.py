"""A reader of bams3 datasets, in plain Python, written from docs/format.md alone.

It imports nothing of the package: where it decodes what the package wrote, the document says all that a reader needs.
Each module follows one part of the document; none of them is fast.
"""
