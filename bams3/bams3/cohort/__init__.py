"""Results of a cohort of samples: matrices of regions, a QC table, an interactive page.

They are computed from each sample's text files (from mosdepth and samtools), so this package knows nothing of
datasets. It needs the extra `cohort`.
"""
