from bams3.progress.handler import LogHandler

# How far the run is, is written beside its results, if Snakemake's log is ours (`--logger bams3`).
for handler in workflow.logger_manager.get_log_handlers():
    if isinstance(handler, LogHandler):
        handler.write_to(located(result("<results>")))
