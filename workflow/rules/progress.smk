from bams3.progress.handler import LogHandler

# The progress of the run is written next to its results if Snakemake's logger is ours (`--logger bams3`).
for handler in internals.log_handlers(workflow, LogHandler):
    handler.write_to(places.result("<results>"))
