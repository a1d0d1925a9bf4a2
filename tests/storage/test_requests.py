"""Requests: how many are under way, for which ranges, and what options of commands say of them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bams3.storage import open_storage, ranges
from bams3.storage.requests import Limiter
from engines import run_bams3
from hypothesis import given
from hypothesis import strategies as st
from servers.faults import Faults


@pytest.mark.parametrize(
    ("options", "header", "present"),
    [
        ([], "authorization", True),
        (["--no-sign-request"], "authorization", False),
        (["--request-payer", "requester"], "x-amz-request-payer", True),
    ],
)
def test_options_of_commands(
    faults: Faults, bucket: str, tmp_path: Path, options: list[str], header: str, present: bool
) -> None:
    log = tmp_path / "requests.tsv"
    faults.arm("403")
    done = run_bams3("stats", f"{bucket}/x", *options, "--log-requests", log)
    expected = (
        f"bams3 stats: {bucket}/x/_metadata.json: access refused (403 AccessDenied: Access Denied); check the"
    )
    assert (done.returncode, done.stderr[: len(expected)], done.stderr.count("\n")) == (1, expected, 1)
    assert (header in faults.disarm()[0].headers) == present
    assert log.read_text().startswith(f"GET\t{bucket}/x/_metadata.json\t-\t0\t")


def test_limit_is_halved_and_grows() -> None:
    limiter = Limiter(16)
    with limiter.turn() as first, limiter.turn() as second:
        pass
    limiter.slow_down(first)
    limiter.slow_down(second)  # it was in flight already
    assert limiter.limit == 8
    for _ in range(9):
        with limiter.turn() as begun:
            pass
        limiter.succeeded()
    assert 8.5 < limiter.limit < 10
    for _ in range(10):
        with limiter.turn() as begun:
            limiter.slow_down(begun)
    assert limiter.limit == 1
    for _ in range(1000):
        limiter.succeeded()
    assert limiter.limit == 16


def test_limit_holds(faults: Faults, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of threads asks; those that other tests use stay as many."""
    monkeypatch.setattr("bams3.storage.requests._limiter", Limiter(3))
    storage = open_storage(bucket)
    storage.put("x", bytes(1 << 20))
    faults.gather(3)
    with ThreadPoolExecutor(20) as threads:
        monkeypatch.setattr(ranges, "pool", lambda: threads)
        assert storage.get_ranges("x", [(n << 18, 1) for n in range(4)] * 5) == [b"\0"] * 20
    assert faults.most_at_once == 3


@given(st.lists(st.tuples(st.integers(0, 1 << 25), st.integers(0, 1 << 24)), max_size=30))
def test_merged_ranges(wanted: list[tuple[int, int]]) -> None:
    runs = ranges.merge_ranges(wanted)
    assert sorted(member for run in runs for member in run.members) == [
        n for n, (_, size) in enumerate(wanted) if size
    ]
    for run in runs:
        members = [wanted[member] for member in run.members]
        assert (run.start, run.end) == (min(s for s, _ in members), max(s + n for s, n in members))
        assert len(members) == 1 or run.end - run.start <= ranges.MERGED


@pytest.mark.parametrize(
    ("wanted", "requests"),
    [
        ([(0, 10), (20, 10)], [(0, 30)]),
        ([(20, 10), (0, 10), (0, 30)], [(0, 30)]),
        ([(0, 10), (10 + ranges.GAP, 5)], [(0, 15 + ranges.GAP)]),
        ([(0, 10), (11 + ranges.GAP, 5)], [(0, 10), (11 + ranges.GAP, 16 + ranges.GAP)]),
        ([(0, ranges.MERGED), (ranges.MERGED, 1)], [(0, ranges.MERGED), (ranges.MERGED, ranges.MERGED + 1)]),
        ([(0, 3 * ranges.MERGED)], [(0, 3 * ranges.MERGED)]),
        ([(7, 0)], []),
    ],
)
def test_requests_for_ranges(wanted: list[tuple[int, int]], requests: list[tuple[int, int]]) -> None:
    assert [run[:2] for run in ranges.merge_ranges(wanted)] == requests
