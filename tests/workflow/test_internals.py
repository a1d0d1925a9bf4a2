"""What is changed in Snakemake: how a run on a cluster ends."""

import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from bams3.workflow import internals
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


class Executor(RemoteExecutor):
    """An executor with two jobs on a cluster that answers when it is told to, and then says that one of them runs."""

    def __init__(self) -> None:
        settings = SimpleNamespace(
            seconds_between_status_checks=3600, immediate_submit=False, init_seconds_before_status_checks=0
        )
        self.workflow = SimpleNamespace(
            executor_plugin=SimpleNamespace(common_settings=settings),
            remote_execution_settings=settings,
            scheduler=None,
        )
        self._next_seconds_between_status_checks = None
        self._tmpdir = "no such folder"
        self.lock = threading.Lock()
        self.wait = True
        self.active_jobs = ["runs", "ended"]
        self.asked, self.answers = threading.Event(), threading.Event()
        self.cancelled: list[str] = []
        self.wait_thread = threading.Thread(target=self._wait_thread, daemon=True)

    async def check_active_jobs(self, active_jobs: list[str]) -> AsyncIterator[str]:
        self.asked.set()
        self.answers.wait(60)
        for job in active_jobs:
            if job != "ended":
                yield job

    def cancel_jobs(self, active_jobs: list[str]) -> None:
        self.cancelled += active_jobs
        self.answers.set()

    def run_job(self, job: object) -> None:
        raise NotImplementedError


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Executor:
    for name in ("cancel", "sleep"):
        monkeypatch.setattr(RemoteExecutor, name, getattr(RemoteExecutor, name))
    internals.patch_cancel()
    return Executor()


def test_a_run_that_is_interrupted_while_it_asks_about_its_jobs(executor: Executor):
    """Its list of jobs is empty at that moment. It ends long before the next check."""
    executor.wait_thread.start()
    assert executor.asked.wait(60)
    assert not executor.active_jobs
    ends = threading.Thread(target=executor.cancel, daemon=True)
    ends.start()
    ends.join(60)
    assert not ends.is_alive()
    assert executor.cancelled == ["runs"]
