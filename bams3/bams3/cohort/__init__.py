"""Results of a cohort of samples: matrices of regions, a QC table, an interactive page.

They are computed from text files of each sample (from mosdepth and samtools), so this room does not depend on datasets.
It needs the extra `cohort`.
"""
