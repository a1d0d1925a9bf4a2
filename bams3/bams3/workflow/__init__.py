"""The logic behind the Snakemake rules: what the sheet and the configuration say, and whether it fits together."""
