"""A random genome, a diploid sample of it, and reads of that sample as BAM records."""
