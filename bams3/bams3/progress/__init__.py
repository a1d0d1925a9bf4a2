"""How far a run of the workflow is: told while it runs, on one line, and to others who ask (`bams3 progress`)."""
