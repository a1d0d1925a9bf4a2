"""Sources of alignments. Whatever its format, a source provides the header and blocks of validated BAM records."""
