from bams3.workflow.places import Places, read, read_lines

places = Places(internals.run_of(workflow), storage)


def snakemakes_own(wildcards):
    """The environment of rules that need bams3 alone: that in which Snakemake runs. None is made for them."""


if places.run.provider == "s3":
    internals.patch_s3()

internals.patch_cancel()
