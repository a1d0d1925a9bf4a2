"""Access to a dataset as the BAM file that it was made from, without converting it back."""
