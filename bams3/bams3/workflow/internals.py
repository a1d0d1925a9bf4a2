"""All undocumented parts of Snakemake and its S3 plugin that the workflow uses.

Checked with Snakemake 9.27.1, snakemake-interface-executor-plugins 9.4.0 and snakemake-storage-plugin-s3 0.3.6. The
upper bounds in pyproject.toml (Snakemake and the interface before 10, the plugin before 0.4) follow from this module.
Before a bound is raised, check this module with the new version.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import CliException
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake.settings.types import DeploymentMethod
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

__all__ = [
    "CliException", "ColorizingTextHandler", "ConfigFiles", "DefaultFilter", "DefaultFormatter", "Quietness", "Run",
    "config_files", "load_configfile", "log_handlers",
    "patch_cancel", "patch_functions", "patch_s3", "run_of",
]  # fmt: skip


def _nothing_made(_: Any) -> bool:
    return False


@dataclass(frozen=True)
class Run:
    """What Snakemake knows about the run for which a Snakefile is read.

    The defaults are those of a plain run: of this workflow by itself, with local files.
    """

    is_module: bool = False
    """Whether the workflow is used as a module by another one."""
    plans: bool = True
    """Whether this is the process that plans the run, and not the process of a job."""
    installs: bool = False
    """Whether Snakemake installs what jobs need (with conda)."""
    provider: str = ""
    """Provider of the default storage; `prefix`: its prefix, without a slash at the end.

    Both are "" if there is none.
    """
    prefix: str = ""
    result: Callable[[str], str] = str
    """Returns where a result is, as in Snakemake: with pathvars filled in, and below the prefix of a module."""
    makes: Callable[[Any], bool] = _nothing_made
    """Tells whether a rule of this workflow, or of one that uses it, makes a file."""


def run_of(workflow: Any) -> Run:
    """Return the run for `workflow`, the object that a Snakefile has under this name while Snakemake reads it."""
    modifier = workflow.modifier  # of this workflow, or of the module as which it is used
    settings = workflow.storage_settings
    return Run(
        is_module=not modifier.is_main_snakefile(),
        plans=workflow.is_main_process,
        installs=DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method,
        provider=settings.default_storage_provider or "",
        prefix=(settings.default_storage_prefix or "").rstrip("/"),
        result=lambda path: modifier.path_modifier.replace_prefix(modifier.pathvars.apply(path)),
        makes=lambda file: any(rule.is_producer(file) for rule in workflow.rules),
    )


@dataclass(frozen=True)
class ConfigFiles:
    """The parts of a configuration that are given on the command line."""

    configfiles: list[Any] = field(default_factory=list)
    overwrite_config: dict[str, Any] = field(default_factory=dict)
    replaces: bool = False
    """Whether the configuration file of the workflow is left out."""


def config_files(workflow: Any) -> ConfigFiles | None:
    """Return the configuration files; None in a module, whose configuration the workflow that uses it provides."""
    if workflow.modifier.skip_configfile:
        return None
    settings = workflow.config_settings
    return ConfigFiles(
        list(settings.configfiles), settings.overwrite_config, settings.replace_workflow_config
    )


def log_handlers(workflow: Any, kind: type) -> Iterator[Any]:
    """Yield the plugins of a kind among those that handle Snakemake's log."""
    return (handler for handler in workflow.logger_manager.get_log_handlers() if isinstance(handler, kind))


def patch_s3() -> None:
    """Make the S3 plugin list objects whenever it checks for a folder.

    The plugin itself caches that a folder did not exist before a job on another machine made it.
    """
    from snakemake_storage_plugin_s3 import StorageObject

    StorageObject.is_dir = lambda stored: any(stored.get_subkeys())


def patch_functions() -> None:
    """Make an error that a function of a rule raises for the user (`CliException`) appear as its message alone.

    Snakemake itself adds the rule, the wildcards and the code, as it does for errors in the workflow.
    """
    from snakemake.exceptions import InputFunctionException
    from snakemake.rules import Rule

    class Error(InputFunctionException):  # Snakemake prints this name before the message
        __traceback__ = None

        def __init__(self, told: CliException) -> None:
            super(InputFunctionException, self).__init__(str(told))

    def applied(rule: Any, *args: Any, **options: Any) -> Any:
        try:
            return apply(rule, *args, **options)
        except InputFunctionException as error:
            if isinstance(error.__context__, CliException):
                raise Error(error.__context__) from None
            raise

    apply = getattr(Rule.apply_input_function, "__wrapped__", Rule.apply_input_function)
    Rule.apply_input_function = wraps(apply)(applied)


def patch_cancel() -> None:
    """Make an interrupted run cancel all of its jobs on a cluster, and end soon after.

    While Snakemake asks a cluster about its jobs, its own list of jobs is empty. An interruption at that moment would
    leave all of them running.
    """
    RemoteExecutor.cancel = _cancel
    RemoteExecutor.sleep = _sleep


def _cancel(executor: RemoteExecutor) -> None:
    with executor.lock:
        listed = list(executor.active_jobs)
    executor.cancel_jobs(listed)
    executor.shutdown()  # ends the check in progress, which lists its jobs again
    held = {id(job) for job in listed}
    if left := [job for job in executor.active_jobs if id(job) not in held]:
        executor.cancel_jobs(left)


async def _sleep(executor: RemoteExecutor) -> None:
    """Wait until the next check is due, or until the run ends."""
    left = executor.next_seconds_between_status_checks
    while executor.wait and left > 0:
        await asyncio.sleep(min(left, 1))
        left -= 1
