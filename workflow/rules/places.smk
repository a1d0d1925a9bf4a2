from bams3.workflow.places import Places, read, read_lines

places = Places(internals.run_of(workflow), storage)


def snakemakes_own(wildcards):
    """No conda environment, for rules that need only bams3: they run in the environment of Snakemake itself."""


if places.run.provider == "s3":
    internals.patch_s3()

internals.patch_cancel()
internals.patch_functions()
