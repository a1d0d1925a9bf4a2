"""What BAM is: the walk over records and their validation, headers, region strings and BED intervals."""
