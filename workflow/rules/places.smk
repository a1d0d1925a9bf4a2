from bams3.workflow.places import Places, read, read_lines

places = Places(internals.run_of(workflow), storage)

if places.run.provider == "s3":
    internals.patch_s3()
