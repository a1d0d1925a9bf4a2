from bams3.progress.handler import LogHandler

# How far the run is, is written beside its results, if Snakemake's log is ours (`--logger bams3`).
for handler in internals.log_handlers(workflow, LogHandler):
    handler.write_to(places.result("<results>"))
