"""The logic behind the Snakemake rules: reads the sheet and the configuration, and checks that they are consistent."""
