"""Progress of a run of the workflow: a status line while it runs, and a file that `bams3 progress` reads."""
