"""The logic behind the Snakemake rules, which reads the sample sheet and the configuration and checks them."""
