from bams3.progress.handler import LogHandler

# With `--logger bams3`, the progress of the run is written next to its results.
for handler in internals.log_handlers(workflow, LogHandler):
    handler.write_to(places.result("<results>"))
