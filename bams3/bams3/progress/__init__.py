"""Progress of a run of the workflow: one line while it runs, and a file that `bams3 progress` reads."""
