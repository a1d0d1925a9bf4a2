"""The alignment files of other projects' tests: what samtools reads is converted and comes back equal, what samtools
refuses is refused. `make corpora DIR=…` takes any folder.
"""
