"""Bases of reads by position of the reference: the pileup, as htslib builds it, and counts at known sites."""
