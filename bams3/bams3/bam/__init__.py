"""BAM itself: the walk over records and their validation, headers, region strings and BED intervals."""
