"""A log handler for Snakemake that also shows the progress of the whole run, and writes it to a file."""

import json
import logging
import os
import sys
import time
from contextlib import suppress
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from bams3.errors import Bams3Error, DatasetError
from bams3.output.files import refuse_place
from bams3.progress.run import FILE, Progress, line, read_state
from bams3.shown import shown
from bams3.storage import open_storage
from bams3.workflow.internals import ColorizingTextHandler, DefaultFilter, DefaultFormatter, Quietness

SECONDS_BETWEEN_WRITES = 5
CLEAR_LINE = "\r\x1b[K"


class LogHandler(LogHandlerBase):
    """Shows what Snakemake's own handler would show and, on a terminal, a status line that always stays below it."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True  # filtering is done here, because messages that are not shown are still counted
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        given = self.common_settings
        quiet = set(given.quiet or ())
        # Snakemake reports finished jobs unless it was told to be quiet about them.
        self._tells = not given.dryrun and Quietness.PROGRESS not in quiet
        self._run = Progress(time.time())
        self._stream = sys.stdout if given.stdout else sys.stderr
        self._filter = DefaultFilter(
            given.quiet, given.debug_dag, given.verbose, given.dryrun, given.printshellcmds
        )
        formatter = _Formatter(given.quiet, given.show_failed_logs)
        formatter.run = self._run
        self._log = ColorizingTextHandler(given.nocolor, self._stream, formatter)
        can_redraw = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._has_line = self._tells and can_redraw and Quietness.ALL not in quiet
        self._results: list[str] = []
        self._written = 0.0
        self._ended = False

    def write_to(self, results: str) -> None:
        """Write progress to this folder of results, a path or URI."""
        if self._tells:
            self._results.append(results)

    def emit(self, record: logging.LogRecord) -> None:
        """Update the progress from a message, and show it."""
        try:
            count(self._run, record)
            self._show(record)
            if self._run.planned and time.time() > self._written + SECONDS_BETWEEN_WRITES:
                self._write(self._state())
        except Exception:  # otherwise, the thread that handles messages would end
            self.handleError(record)

    def close(self) -> None:
        """End the run, successful or not. Python's logging may call this more than once."""
        if self._run.planned and not self._ended:
            self._ended = True
            state = self._state()
            self._write(state)
            if self._has_line:
                self._stream.write(f"{CLEAR_LINE}{line(state)}\n")
        super().close()

    def _state(self) -> dict[str, Any]:
        return self._run.state(time.time(), ended=self._ended)

    def _show(self, record: logging.LogRecord) -> None:
        shown = self._filter.filter(record)
        if not self._has_line:
            if shown:
                self._log.emit(record)
            return
        self._stream.write(CLEAR_LINE)
        if shown and getattr(record, "event", None) != LogEvent.PROGRESS:
            self._log.emit(record)
        if self._run.planned:
            width = os.get_terminal_size(self._stream.fileno()).columns or 80  # 0: unknown
            self._stream.write(line(self._state())[: width - 1])
        self._stream.flush()

    def _write(self, state: dict[str, Any]) -> None:
        is_first = not self._written
        self._written = state["updated"]
        data = json.dumps(state, indent=1).encode()
        for results in list(self._results):
            try:
                if is_first:
                    _refuse_foreign(results)
                open_storage(results).put(FILE, data)
            except (OSError, Bams3Error) as error:
                self._results.remove(results)
                self._stream.write(shown(f"cannot write progress to {results}: {error}") + "\n")


def _refuse_foreign(results: str) -> None:
    """Raise Bams3Error if progress must not be written there: over an unrelated file, or into a dataset."""
    refuse_place(f"{results}/{FILE}")
    with suppress(DatasetError):  # there is no file yet
        read_state(results)


class _Formatter(DefaultFormatter):
    run: Progress

    def format_progress(self, _: dict[str, Any]) -> str:
        return line(self.run.state(time.time()))


def count(run: Progress, record: logging.LogRecord) -> None:
    """Update the run from a Snakemake message about its jobs."""
    said: Any = record
    match getattr(record, "event", None):
        case LogEvent.RUN_INFO:
            run.plan(said.stats)
        case LogEvent.JOB_INFO:  # sent when a job starts; also for each job of a group
            run.start(said.jobid, said.rule_name, dict(said.wildcards), record.created)
        case LogEvent.JOB_FINISHED:
            run.finish(said.job_id, record.created)
        case LogEvent.JOB_ERROR:
            run.fail(said.jobid, said.rule_name, list(said.log))
