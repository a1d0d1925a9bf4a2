from bams3.progress.handler import LogHandler

# The progress of the run is written next to its results if Snakemake's logger is ours (`--logger bams3`).
for handler in workflow.logger_manager.get_log_handlers():
    if isinstance(handler, LogHandler):
        handler.write_to(located(result("<results>")))
