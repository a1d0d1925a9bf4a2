"""One table of what storages do, run against a directory, moto and Swift; and what is special to each."""

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bams3.errors import UsageError
from bams3.storage import Storage, open_object, open_storage
from bams3.storage.multipart import PART
from bams3.storage.remote import RemoteStorage
from bams3.storage.requests import totals
from servers.faults import Faults
from servers.fixtures import s3_client

TEXT = bytes(range(256)) * 4
NAMES = [
    "_metadata.json",
    "data/HLA-A%2A01%3A01/0-1.chunk",
    "data/chr1/a b~+&=?#.chunk",
    "data/chr10/0-1.chunk",
    "data/ü",
]


@pytest.fixture(params=["local", "moto", "swift"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    fixtures = {"moto": "bucket", "swift": "swift_bucket"}
    place = request.getfixturevalue(fixtures[request.param]) if request.param in fixtures else tmp_path
    return open_storage(f"{place}/some/where")


def filled(storage: Storage) -> Storage:
    for name in NAMES:
        storage.put(name, TEXT)
    return storage


def created(storage: Storage, path: str, *portions: bytes) -> bytes:
    with storage.create(path) as file:
        for portion in portions:
            file.write(portion)
    return storage.get(path)


def deleted(storage: Storage, *paths: str) -> list[str]:
    for path in paths:
        storage.delete(path)
    return list(storage.list())


def cleared(storage: Storage, prefix: str) -> list[str]:
    storage.delete_all(storage.list(prefix))
    return list(storage.list())


PORTIONS = [TEXT[9:10], TEXT[:3], b"", TEXT[1000:]]
LARGE = [bytes([n]) * (PART // 2 + n) for n in range(5)]

# What is done with a storage that `filled` filled → what it gives.
BEHAVIOURS: list[tuple[str, Callable[[Storage], Any], Any]] = [
    ("get", lambda s: [s.get(name) for name in NAMES], [TEXT] * len(NAMES)),
    ("range", lambda s: s.get_range(NAMES[0], 10, 5), TEXT[10:15]),
    ("range past the end", lambda s: s.get_range(NAMES[0], 1020, 50), TEXT[1020:]),
    ("range behind the end", lambda s: s.get_range(NAMES[0], 1024, 50), b""),
    ("range far behind the end", lambda s: s.get_range(NAMES[0], 1 << 40, 50), b""),
    ("empty range", lambda s: s.get_range(NAMES[0], 10, 0), b""),
    ("ranges", lambda s: list(s.get_ranges(NAMES[1], [(9, 1), (0, 3), (2, 0), (1000, 99)])), PORTIONS),
    ("no ranges", lambda s: list(s.get_ranges(NAMES[1], [])), []),
    ("size", lambda s: s.size(NAMES[2]), 1024),
    ("sizes", lambda s: s.sizes("data"), dict.fromkeys(sorted(NAMES)[1:], 1024)),
    ("list", lambda s: list(s.list()), sorted(NAMES)),
    ("list a folder", lambda s: list(s.list("data/chr1")), NAMES[2:3]),
    ("list nothing", lambda s: list(s.list("nothing")), []),
    ("exists", lambda s: [s.exists(name) for name in (NAMES[0], "data", "data/chr1/a")], [True, False, False]),
    ("put again", lambda s: (s.put(NAMES[0], b"a"), s.get(NAMES[0]), s.get_range(NAMES[0], 0, 9)), (None, b"a", b"a")),
    ("put nothing", lambda s: (s.put("empty", b""), s.get("empty"), s.size("empty")), (None, b"", 0)),
    ("put new", lambda s: (s.put_new("a/new", b"1"), s.get("a/new")), (None, b"1")),
    ("put all", lambda s: (s.put_all([(NAMES[0], b"a"), ("x", b"")]), s.get(NAMES[0]), s.get("x")), (None, b"a", b"")),
    ("create", lambda s: created(s, "x/y", b"ab", b"", b"c"), b"abc"),
    ("create nothing", lambda s: created(s, "x"), b""),
    ("create again", lambda s: created(s, NAMES[0], b"ab"), b"ab"),
    ("create large", lambda s: created(s, "x/y", *LARGE) == b"".join(LARGE), True),
    ("delete", lambda s: deleted(s, NAMES[0], NAMES[0], *NAMES[2:], "nothing"), NAMES[1:2]),
    ("delete all below", lambda s: cleared(s, "data/chr1"), sorted(set(NAMES) - {NAMES[2]})),
    ("delete all", lambda s: cleared(s, ""), []),
]  # fmt: skip


@pytest.mark.parametrize(("action", "expected"), [b[1:] for b in BEHAVIOURS], ids=[b[0] for b in BEHAVIOURS])
def test_behaves(storage: Storage, action: Callable[[Storage], Any], expected: Any) -> None:
    assert action(filled(storage)) == expected


@pytest.mark.parametrize(
    "action",
    [
        lambda s: s.get("data/chr1"),
        lambda s: s.get_range("nothing", 0, 5),
        lambda s: s.get_ranges("nothing", [(0, 5), (1 << 20, 5)]),
        lambda s: s.size("nothing"),
    ],
)
def test_missing(storage: Storage, action: Callable[[Storage], Any]) -> None:
    with pytest.raises((FileNotFoundError, IsADirectoryError)) as raised:
        action(filled(storage))
    assert raised.value.filename.startswith(storage.root)
    assert "\n" not in str(raised.value)


def test_one_of_many_writers_wins(storage: Storage) -> None:
    won: list[int] = []
    lost: list[str] = []

    def write(number: int) -> None:
        try:
            open_storage(storage.root).put_new("commit", b"%d" % number)
            won.append(number)
        except FileExistsError as error:
            lost.append(str(error.filename))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lost) + len(won) == 6
    assert set(lost) <= {f"{storage.root}/commit"}
    assert int(storage.get("commit")) in won
    assert len(won) == 1 or "bucket" in storage.root  # Swift can't tell who was first
    with pytest.raises(FileExistsError):
        storage.put_new("commit", b"late")


@pytest.mark.parametrize("portions", [[b"x"], LARGE], ids=["small", "large"])
def test_failed_writer_leaves_nothing(storage: Storage, portions: list[bytes]) -> None:
    def write() -> None:
        with storage.create("x") as file:
            for portion in portions:
                file.write(portion)
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert not storage.exists("x")
    assert list(storage.list()) == []


KILLED = """
import sys
from bams3.storage import open_storage
with open_storage(sys.argv[1]).create("x") as file:
    for _ in range(8):
        file.write(bytes(4 << 20))
    print("written", flush=True)
    sys.stdin.read()
"""


def test_killed_writer_leaves_nothing(storage: Storage) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, storage.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert list(storage.list()) == []
    storage.put("y", b"")
    storage.delete_incomplete("other".__eq__)
    storage.delete_incomplete("x".__eq__)
    assert list(storage.list()) == ["y"]
    if isinstance(storage, RemoteStorage):
        assert not s3_client().list_multipart_uploads(Bucket=storage.root.split("/")[2]).get("Uploads")
    else:
        assert os.listdir(storage.root) == ["y"]


def test_long_listings(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bams3.storage.remote.PAGE", 10)
    storage = open_storage(f"{bucket}/long")
    names = [f"{folder}/{number:03d}" for folder in ("a", "a-", "b") for number in range(10)]
    for name in names:
        storage.put(name, b"x")
    assert list(storage.list()) == sorted(names)
    storage.delete_all(storage.list("a"))
    assert list(storage.list()) == sorted(names[10:])


def test_wrong_key_is_refused(swift_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(PermissionError, match=r"403 SignatureDoesNotMatch.*check the credentials") as raised:
        open_storage(swift_bucket).get("x")
    assert "not-the-secret" not in str(raised.value)


def test_replaced_object_is_told_apart(bucket: str) -> None:
    mine, other = open_storage(bucket), open_storage(bucket)
    other.put("x", TEXT)
    assert mine.get_range("x", 0, 4) == TEXT[:4]
    other.put("x", TEXT[::-1])
    with pytest.raises(OSError, match="was replaced while it was read"):
        mine.get_range("x", 4, 4)
    other.put("x", TEXT[:8])
    with pytest.raises(OSError, match="was replaced while it was read"):
        mine.get_range("x", 100, 4)
    assert mine.get("x") == TEXT[:8]
    assert mine.get_range("x", 4, 4) == TEXT[4:8]
    mine.put("x", b"mine")
    assert mine.get_range("x", 0, 9) == b"mine"


def test_web_server(web_server: tuple[str, Path], tmp_path: Path) -> None:
    url, root = web_server
    filled(open_storage(str(root / "a b%")))
    storage = open_storage(url.replace("//", "//user:password@") + "/a%20b%25/?token=hidden")
    assert storage.root == f"{url}/a b%"
    assert [storage.get(name) for name in NAMES] == [TEXT] * len(NAMES)
    assert storage.get_range(NAMES[0], 1000, 99) == TEXT[1000:]
    assert storage.get_ranges(NAMES[1], [(9, 1), (0, 3), (2000, 5)]) == [TEXT[9:10], TEXT[:3], b""]
    assert (storage.size(NAMES[2]), storage.exists("x")) == (1024, False)
    object_storage, path = open_object(f"{url}/a%20b%25/_metadata.json?a=b/c")
    assert object_storage.get(path) == TEXT
    for action, error in [
        (lambda: storage.get("x"), "no such object"),
        (lambda: storage.put("x", b""), "read-only"),
        (lambda: list(storage.list()), "can't list"),
    ]:
        with pytest.raises(OSError, match=error) as raised:
            action()
        assert not any(secret in str(raised.value) for secret in ("user", "password", "hidden"))


def test_google(moto_url: str, s3_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's XML interface is that of S3 in what is used here, but for conditions, so that moto stands for it."""
    s3_at(moto_url)
    monkeypatch.setenv("GOOGLE_BASE_URL", moto_url)
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "token")
    headers = {"Authorization": "Bearer token"}
    urllib.request.urlopen(
        urllib.request.Request(f"{moto_url}/google", method="PUT", headers=headers)
    ).close()
    storage = open_storage("gs://google/x")
    assert deleted(filled(storage), "nothing", NAMES[0]) == sorted(NAMES[1:])
    assert (storage.get(NAMES[1]), storage.get_range(NAMES[1], 3, 2)) == (TEXT, TEXT[3:5])
    assert created(storage, "x/y", *LARGE) == b"".join(LARGE)
    assert cleared(storage, "") == []
    storage.delete_incomplete(lambda _: True)
    with pytest.raises(FileNotFoundError, match="gs://google/x/y"):
        storage.get("y")


def test_credentials_of_a_profile(
    faults: Faults, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[profile lab]\nregion = eu-central-1\nendpoint_url = {faults.url}\n")
    (tmp_path / "credentials").write_text("[lab]\naws_access_key_id = LABKEY\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_PROFILE", "lab")
    open_storage(bucket).put("x", b"")
    assert "Credential=LABKEY/" in faults.requests[-1].headers["authorization"]
    assert "/eu-central-1/s3/" in faults.requests[-1].headers["authorization"]


@pytest.mark.parametrize(
    ("variables", "header", "expected"),
    [
        ({}, "authorization", "AWS4-HMAC-SHA256 Credential=tester/"),
        ({"AWS_REGION": "eu-west-3"}, "authorization", "/eu-west-3/s3/"),
        ({"AWS_DEFAULT_REGION": "eu-west-3"}, "authorization", "/eu-west-3/s3/"),
        ({"AWS_SESSION_TOKEN": "token"}, "x-amz-security-token", "token"),
        ({"AWS_REQUEST_PAYER": "requester"}, "x-amz-request-payer", "requester"),
        ({"BAMS3_NO_SIGN_REQUEST": "1"}, "authorization", None),
    ],
)
def test_settings(
    faults: Faults,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    header: str,
    expected: str | None,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not open_storage(bucket).exists("x")
    sent = faults.requests[-1].headers.get(header)
    assert sent is None if expected is None else expected in str(sent)


@pytest.mark.parametrize(
    ("uri", "variables", "message"),
    [
        ("ftp://host/x", {}, "ftp:// is not supported"),
        ("s3:///x", {}, "give s3://bucket/path"),
        ("s3://bucket/a//b", {}, "empty component"),
        ("s3://bucket/../b", {}, "empty component"),
        ("s3://bucket/x", {"BAMS3_TIMEOUT": "soon"}, "BAMS3_TIMEOUT=soon"),
        ("s3://bucket/x", {"AWS_PROFILE": "nobody"}, "nobody"),
        (
            "s3://bucket/x",
            {"AWS_ACCESS_KEY_ID": "", "AWS_EC2_METADATA_DISABLED": "true"},
            "no AWS credentials were found",
        ),
    ],
)
def test_refuses(
    s3_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    uri: str,
    variables: dict[str, str],
    message: str,
) -> None:
    s3_at("http://127.0.0.1:1")
    (tmp_path / "config").write_text("")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message):
        open_storage(uri)


def test_missing_packages_are_named() -> None:
    code = "import sys; sys.modules['obstore'] = None; from bams3.storage import open_storage; open_storage('s3://b/x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "s3:// needs obstore: pip install 'bams3[remote]'" in done.stderr


def test_local_paths_import_nothing() -> None:
    code = (
        "import sys; from bams3.storage import open_storage; open_storage('/tmp').exists('x'); "
        "print(sorted({'obstore', 'boto3', 'botocore', 'concurrent.futures', 'urllib.request'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_log_and_totals(faults: Faults, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "requests.tsv"
    monkeypatch.setenv("BAMS3_LOG_REQUESTS", str(log))
    before = totals()
    storage = open_storage(f"{bucket}/log")
    faults.arm("503", at=1)
    storage.put("x", TEXT)
    storage.get_range("x", 4, 10)
    assert not storage.exists("y")
    created(storage, "z", *LARGE)
    lines = [line.split("\t") for line in log.read_text().splitlines()]
    assert [(line[0], int(line[5])) for line in lines] == [(r.method, r.status) for r in faults.disarm()]
    assert lines[0][:4] == ["PUT", f"{bucket}/log/x", "-", "1024"]
    assert lines[1][:4] == ["GET", f"{bucket}/log/x", "4-13", "0"]
    assert lines[2][:4] == ["GET", f"{bucket}/log/x", "4-13", "10"]
    assert all(float(line[4]) > 0 for line in lines)
    after = totals()
    size = sum(map(len, LARGE))
    assert after.requests - before.requests == len(lines)
    assert (after.received - before.received, after.sent - before.sent) == (10 + size, 1024 + size)
    assert "the-secret" not in log.read_text()
