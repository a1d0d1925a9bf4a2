"""What reads say at positions of the reference: the pileup, as htslib builds it, and counts at known sites."""
