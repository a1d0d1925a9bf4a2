"""Every fault that a store or a network can make, at every request of everything a storage does."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bams3.storage import Storage, open_storage
from bams3.storage.multipart import PART
from bams3.storage.requests import limiter
from servers.faults import ANSWERS, KINDS, PASSING, Faults

TEXT = bytes(range(256)) * 40
LARGE = [bytes(PART), b"x" * 100]


def create_large(storage: Storage) -> None:
    with storage.create("new") as file:
        for portion in LARGE:
            file.write(portion)


def replaced_ranges(storage: Storage) -> list[bytes]:
    return [
        storage.get_range("old", 0, 20),
        storage.get_range("old", 20, 10),
        *storage.get_ranges("old", FAR),
    ]


FAR = [(5, 5), (6000, 9)]

# What is done with a storage that has "old" and "data/…" → what it gives. "new" is written, if anything.
ACTIONS: dict[str, tuple[Callable[[Storage], Any], Any]] = {
    "get": (lambda s: s.get("old"), TEXT),
    "get_range": (lambda s: s.get_range("old", 100, 9), TEXT[100:109]),
    "reading on": (replaced_ranges, [TEXT[:20], TEXT[20:30], TEXT[5:10], TEXT[6000:6009]]),
    "behind the end": (lambda s: s.get_range("old", 99999, 9), b""),
    "size": (lambda s: s.size("old"), len(TEXT)),
    "exists": (lambda s: [s.exists("old"), s.exists("no")], [True, False]),
    "list": (lambda s: list(s.list("data")), ["data/1", "data/2"]),
    "put": (lambda s: s.put("new", TEXT), None),
    "put_new": (lambda s: s.put_new("new", TEXT), None),
    "create": (create_large, None),
    "delete": (lambda s: (s.delete("data/1"), list(s.list("data"))), (None, ["data/2"])),
    "delete_all": (lambda s: (s.delete_all(["data/1", "data/2"]), list(s.list("data"))), (None, [])),
}
WRITTEN = {"put": TEXT, "put_new": TEXT, "create": b"".join(LARGE)}

WRONG_BYTES = [*((name, "corrupt") for name in ACTIONS), ("get", "cut")]  # which only a checksum tells
# What obstore does not repeat in an upload: the answer, when the request itself went well.
NOT_REPEATED = [("create", kind) for kind in ("reset", "short", "stall", "cut")]


@pytest.fixture
def storage(faults: Faults, bucket: str) -> Storage:
    storage = open_storage(f"{bucket}/x")
    for name in ("old", "data/1", "data/2"):
        storage.put(name, TEXT)
    return storage


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ACTIONS)
def test_each_fault_at_each_request(
    storage: Storage, faults: Faults, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAMS3_TIMEOUT", "0.5" if kind == "stall" else "60")
    action, expected = ACTIONS[name]
    number, made = 0, True
    while made:
        for path in ("data/1", "data/2") if name.startswith("delete") else ():
            storage.put(path, TEXT)
        if name in WRITTEN:
            storage.delete("new")
        faults.arm(kind, at=number)
        fresh = open_storage(storage.root)
        try:
            result, error = action(fresh), None
        except OSError as raised:
            result, error = None, raised
        made = faults.times == 0
        faults.disarm()
        if error:
            assert kind not in PASSING or (name, kind) in NOT_REPEATED
            assert error.filename.startswith(storage.root)
            assert "\n" not in str(error)
            assert "the-secret" not in str(error)
        else:
            assert result == expected or (name, kind) in WRONG_BYTES
        if name in WRITTEN and (not error or storage.exists("new")):
            assert storage.get("new") == WRITTEN[name]
        number += 1
    assert number > 1


@pytest.mark.parametrize("kind", ["503", "500", "429", "refused", "reset", "short", "cut"])
def test_a_fault_that_stays_is_one_clear_error(
    storage: Storage, faults: Faults, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "4")
    faults.arm(kind, times=99)
    with pytest.raises(OSError, match=r"the store failed .*, 4 attempts.; try again later") as raised:
        storage.get_range("old", 0, 9)
    assert raised.value.filename == f"{storage.root}/old"
    assert len(faults.disarm()) == 4


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("403", PermissionError, "access refused .403 AccessDenied: Access Denied.; check the credentials"),
        ("whole", OSError, "ignores range requests .200 instead of 206."),
        ("501", OSError, "the store failed .501 NotImplemented: Not implemented."),
    ],
)
def test_what_can_not_pass_is_not_tried_again(
    storage: Storage, faults: Faults, kind: str, error: type[OSError], message: str
) -> None:
    faults.arm(kind)
    with pytest.raises(error, match=message):
        storage.get_range("old", 0, 5)
    assert len(faults.disarm()) == 1


LOG_IN = "access refused (400 {}: why); log in again"
REFUSED = "access refused ({}: why); check the credentials and their permissions, or read a public bucket with BAMS3_NO"

# What a store says, by status and code: the error, whatever is done.
SAID = [
    (400, "ExpiredToken", PermissionError, LOG_IN.format("ExpiredToken")),
    (400, "TokenRefreshRequired", PermissionError, LOG_IN.format("TokenRefreshRequired")),
    (400, "InvalidToken", PermissionError, REFUSED.format("400 InvalidToken")),
    (403, "InvalidAccessKeyId", PermissionError, REFUSED.format("403 InvalidAccessKeyId")),
    (403, "SignatureDoesNotMatch", PermissionError, REFUSED.format("403 SignatureDoesNotMatch")),
    (403, "RequestTimeTooSkewed", PermissionError, "access refused (403 RequestTimeTooSkewed: why); set this"),
    (401, "Unauthorized", PermissionError, REFUSED.format("401 Unauthorized")),
    (404, "NoSuchBucket", OSError, "no such bucket (404 NoSuchBucket: why); check its name and the endpoint"),
    (400, "InvalidBucketName", OSError, "the store failed (400 InvalidBucketName: why)"),
    (405, "MethodNotAllowed", OSError, "the store failed (405 MethodNotAllowed: why)"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code", "error", "message"), SAID)
def test_what_the_store_says_is_told(
    storage: Storage,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    error: type[OSError],
    message: str,
) -> None:
    body = f"<Error><Code>{code}</Code><Message>why</Message></Error>".encode()
    monkeypatch.setitem(ANSWERS, code, (status, [], body))
    silent = (
        ("size", "exists") if status != 400 else ()
    )  # an answer to HEAD has no body; of 400 it asks for the reason
    tried = [(name, 0) for name in ACTIONS if name not in silent]
    if code == "ExpiredToken":  # also at a part, and at the end of an upload
        tried += [("create", 1), ("create", 3)]
    for name, number in tried:
        fresh = open_storage(storage.root)
        faults.arm(code, at=number, times=99)
        with pytest.raises(error) as raised:
            ACTIONS[name][0](fresh)
        faults.disarm()
        assert str(raised.value.strerror).startswith(message), name
        assert "\n" not in str(raised.value)


def test_another_etag_on_reading_on(storage: Storage, faults: Faults) -> None:
    assert storage.get_range("old", 0, 5) == TEXT[:5]
    faults.arm("etag")
    with pytest.raises(OSError, match="was replaced while it was read"):
        storage.get_range("old", 5, 5)
    assert faults.disarm()[0].headers["if-match"].startswith('"')


def test_writing_again_where_the_answer_has_no_etag(storage: Storage, faults: Faults) -> None:
    faults.arm("no etag")
    storage.put("new", TEXT)
    assert [request.method for request in faults.disarm()] == ["PUT", "PUT"]
    assert storage.get("new") == TEXT


def test_reading_again_after_corruption(storage: Storage, faults: Faults) -> None:
    faults.arm("corrupt", at=1)
    found = [storage.get_range("old", 0, 5) for _ in range(3)]
    assert [data == TEXT[:5] for data in found] == [True, False, True]


def test_slow_down_halves_the_requests_in_flight(storage: Storage, faults: Faults) -> None:
    gate = limiter()
    gate.limit = 16
    faults.arm("503", times=3)
    assert storage.get("old") == TEXT
    assert 2 <= gate.limit < 3
    gate.limit = gate.most


def test_bucket_of_another_region(storage: Storage, faults: Faults) -> None:
    fresh = open_storage(storage.root)
    faults.arm("moved", times=2)  # the request, and the question where the bucket is
    assert fresh.get("old") == TEXT
    first, question, again = faults.disarm()
    assert "/us-east-1/s3/" in first.headers["authorization"]
    assert (question.method, "authorization" in question.headers) == ("HEAD", False)
    assert "/eu-west-1/s3/" in again.headers["authorization"]


def test_all_requests_that_are_under_way_move_to_another_region(storage: Storage, faults: Faults) -> None:
    fresh = open_storage(f"{storage.root}/data")
    faults.gather(3)
    faults.arm("moved", times=4)  # three requests, and the question of one of them
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(fresh.get, ["1", "2", "1"])) == [TEXT] * 3
    assert len([request for request in faults.disarm() if request.method == "HEAD"]) == 1
    assert not faults.missed


def test_bounded_requests_only(storage: Storage, faults: Faults) -> None:
    faults.arm("")
    replaced_ranges(storage)
    asked = [request.headers.get("range", "none") for request in faults.disarm()]
    assert sorted(asked) == ["bytes=0-19", "bytes=20-29", "bytes=5-6008"]


def test_store_without_conditional_writes(storage: Storage, faults: Faults) -> None:
    faults.arm("501")
    storage.put_new("new", b"1")
    assert storage.get("new") == b"1"
    faults.arm("501")
    with pytest.raises(FileExistsError):
        storage.put_new("new", b"2")
    assert storage.get("new") == b"1"


def test_lost_answer_of_a_conditional_write(storage: Storage, faults: Faults) -> None:
    faults.arm("lost", method="PUT")
    storage.put_new("new", b"mine")
    faults.arm("lost", method="PUT")
    with pytest.raises(FileExistsError):
        storage.put_new("new", b"another's")
    assert storage.get("new") == b"mine"
