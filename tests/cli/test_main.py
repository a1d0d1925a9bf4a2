"""`main`, as a program that goes on after it calls it."""

import gc

import pytest
from bams3.cli import main


def test_the_garbage_collector_is_left_as_it_was(capfd: pytest.CaptureFixture[str]):
    before = gc.get_freeze_count(), gc.get_threshold()
    assert main(["--version"]) == 0
    assert (gc.get_freeze_count(), gc.get_threshold()) == before
