"""What a cohort's samples give together: matrices of regions, a table of quality, an interactive page.

Made of the files that each sample has (mosdepth's, samtools'), so this room knows nothing of datasets. It needs the
extra `cohort`.
"""
