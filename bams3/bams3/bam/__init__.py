"""What BAM is: the walk over records and their validation, headers, regions and BED intervals."""
