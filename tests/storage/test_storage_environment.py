"""What the environment says of object stores: nonsense is one line that names the variable, never a panic."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from bams3.errors import UsageError
from bams3.storage import environment, open_storage

pytest.importorskip("obstore")

HERE = "http://127.0.0.1:9"
NOT_A_URL = (
    "not the URL of a server; give http:// or https://, a host (IPv6 in brackets) and, if needed, a port"
)
NO_SCHEME = "not the URL of a server; it has no scheme; write https://"
NO_KEY = "the value contains a space, a newline or another invalid character; set it again"
NO_NUMBER = "give a whole number from 1 to 1000"
NO_PROXY = "not the URL of a proxy; give one such as http://host:3128, or unset it"


@pytest.fixture(autouse=True)
def alone(s3_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    s3_at(HERE)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in environment.PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", [*environment.ENDPOINTS, "GOOGLE_BASE_URL"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("127.0.0.1:9", f"=127.0.0.1:9: {NO_SCHEME}127.0.0.1:9, or http://127.0.0.1:9"),
        ("localhost", f"=localhost: {NO_SCHEME}"),
        ("minio.lab:9000/path", f"=minio.lab:9000/path: {NO_SCHEME}"),
        (f" {HERE}", f"= {HERE}: {NOT_A_URL}"),
        (f"{HERE} ", f"={HERE} : {NOT_A_URL}"),
        ("http://127.0.0.1 :9", f"=http://127.0.0.1 :9: {NOT_A_URL}"),
        (f"{HERE}\n", rf"={HERE}\n: {NOT_A_URL}"),
        ("ftp://host", f"=ftp://host: {NOT_A_URL}"),
        ("s3://bucket", f"=s3://bucket: {NOT_A_URL}"),
        ("http://", f"=http://: {NOT_A_URL}"),
        ("http:///path", f"=http:///path: {NOT_A_URL}"),
        ("http:/127.0.0.1", f"=http:/127.0.0.1: {NOT_A_URL}"),
        ("https//host", f"=https//host: {NO_SCHEME}"),
        ("http://127.0.0.1:99999", f"=http://127.0.0.1:99999: {NOT_A_URL}"),
        ("http://127.0.0.1:0", f"=http://127.0.0.1:0: {NOT_A_URL}"),
        ("http://127.0.0.1:x", f"=http://127.0.0.1:x: {NOT_A_URL}"),
        ("http://127.0.0.1:-1", f"=http://127.0.0.1:-1: {NOT_A_URL}"),
        ("http://127.0.0.1:", f"=http://127.0.0.1:: {NOT_A_URL}"),
        ("http://::1:9", f"=http://::1:9: {NOT_A_URL}"),
        ("http://[::1:9", f"=http://[::1:9: {NOT_A_URL}"),
        ("http://é.lab", f"=http://é.lab: {NOT_A_URL}"),
        ("http://127.0.0.1:٣", f"=http://127.0.0.1:٣: {NOT_A_URL}"),
        (f"{HERE}/a b", f"={HERE}/a b: {NOT_A_URL}"),
        (f"{HERE}#x", f"={HERE}#x: {NOT_A_URL}"),
        (f"{HERE}?key=s3cr3t", f": {NOT_A_URL}"),
        ("http://me:s3cr3t@127.0.0.1", f": {NOT_A_URL}"),
        ("me:s3cr3t@127.0.0.1", f": {NOT_A_URL}"),
        ("-x", f"=-x: {NO_SCHEME}"),
    ],
)  # fmt: skip
def test_an_endpoint_that_is_none(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
) -> None:
    monkeypatch.setenv(name, text)
    if name == "AWS_ENDPOINT_URL":
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    scheme = "gs" if name.startswith("GOOGLE") else "s3"
    with pytest.raises(UsageError) as raised:
        open_storage(f"{scheme}://bucket/x")
    assert str(raised.value).startswith(name + message)
    assert "\n" not in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


def test_an_endpoint_of_the_profile_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "profiles").write_text("[default]\nendpoint_url = minio:9000\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "profiles"))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(
        UsageError, match=r"^endpoint_url of the profile=minio:9000: .* no scheme; write https://minio"
    ):
        open_storage("s3://bucket/x")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (HERE, HERE),
        (f"{HERE}/", HERE),
        (f"{HERE}/gate/way/", f"{HERE}/gate/way"),
        ("HTTP://127.0.0.1:9", HERE),
        ("http://[::1]:9", "http://[::1]:9"),
        ("https://s3.lab_1.example", "https://s3.lab_1.example"),
    ],
)  # fmt: skip
def test_an_endpoint_that_is_one(monkeypatch: pytest.MonkeyPatch, text: str, url: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", text)
    assert environment.endpoint() == url
    if "lab" not in text:
        with pytest.raises(OSError, match=r"the store failed \((Connection refused|Cannot assign)"):
            open_storage("s3://bucket/x").get("y")


# Variable, value: how the error begins, behind the variable; "": it is none.
SETTINGS = [
    ("AWS_REGION", "", ""),
    ("AWS_REGION", "RegionOne", ""),
    ("AWS_REGION", " ", "= : not the name of a region; give one such as us-east-1"),
    ("AWS_REGION", "us east", "=us east: not the name of a region; "),
    ("AWS_DEFAULT_REGION", "x/y", "=x/y: not the name of a region; "),
    ("AWS_DEFAULT_REGION", "é", "=é: not the name of a region; "),
    ("AWS_REGION", "us-east-1\n", r"=us-east-1\n: not the name of a region; "),
    ("AWS_ACCESS_KEY_ID", "s3cr3t\n", f": {NO_KEY}"),
    ("AWS_SECRET_ACCESS_KEY", "s3cr3té", f": {NO_KEY}"),
    ("AWS_SESSION_TOKEN", " s3cr3t", f": {NO_KEY}"),
    ("HTTP_PROXY", "", ""),
    ("HTTPS_PROXY", "proxy:3128", ""),
    ("https_proxy", "http://me:pass@proxy:3128/", ""),
    ("ALL_PROXY", "socks5h://[::1]:1080", ""),
    ("HTTP_PROXY", "nonsense://s3cr3t", f": {NO_PROXY}"),
    ("http_proxy", "http://x y", f": {NO_PROXY}"),
    ("HTTPS_PROXY", "http://me:s3cr3t@proxy:99999", f": {NO_PROXY}"),
    ("https_proxy", "::", f": {NO_PROXY}"),
    ("ALL_PROXY", "ht tp", f": {NO_PROXY}"),
    ("all_proxy", "http://", f": {NO_PROXY}"),
    *(
        ("BAMS3_TIMEOUT", text, f"={text}: give a number of seconds greater than 0")
        for text in ("x", "0", "-1", "nan", "inf", "²")
    ),
    ("BAMS3_TIMEOUT", "0.5", ""),
    *((name, text, f"={text}: {NO_NUMBER}") for name in ("BAMS3_MAX_REQUESTS", "AWS_MAX_ATTEMPTS")
      for text in ("x", "0", "-1", " 5", "1.5", "²", "٣", "1001", "9" * 5000)),
    ("BAMS3_MAX_REQUESTS", "1000", ""),
    *(("BAMS3_NO_SIGN_REQUEST", text, "") for text in ("", "0", "no", "FALSE", "1", "yes", "True")),
    ("BAMS3_NO_SIGN_REQUEST", "maybe", "=maybe: give 1, or unset it"),
    ("BAMS3_NO_SIGN_REQUEST", "2", "=2: give 1, or unset it"),
    ("AWS_REQUEST_PAYER", "me", "=me: give requester, or unset it"),
    ("BAMS3_LOG_REQUESTS", "/", "/: Is a directory; choose another file for the log of requests"),
    ("AWS_CA_BUNDLE", "/none", "=/none: No such file or directory; give a file of certificates"),
    ("AWS_CA_BUNDLE", "/etc/passwd", "=/etc/passwd: the file contains no certificates; give a file of certificates"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), SETTINGS)
def test_a_setting(monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str) -> None:
    monkeypatch.setattr("bams3.storage.requests._limiter", None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(name, text)
    with pytest.raises((OSError, UsageError)) as raised:
        open_storage("s3://bucket/x").get("y")
    if message:
        assert isinstance(raised.value, UsageError)
        assert str(raised.value).startswith(message if name == "BAMS3_LOG_REQUESTS" else name + message)
        assert "\n" not in str(raised.value)
        assert "s3cr3t" not in str(raised.value)
    else:
        assert raised.value.strerror.startswith("the store failed (Connection refused)")


def test_every_variable_is_tried() -> None:
    text = (
        Path(environment.__file__).read_text()
        + Path(environment.__file__).with_name("requests.py").read_text()
    )
    named = set(re.findall('"((?:AWS|BAMS3)_[A-Z_]+)"', text))
    assert named <= {name for name, *_ in SETTINGS} | {*environment.ENDPOINTS}


@pytest.mark.parametrize("uri", ["s3://b b/x", "s3://b\n/x", "gs://b?x=s3cr3t/x", "s3://bé/x", "gs://b%20/x"])
def test_a_bucket_that_can_be_none(uri: str) -> None:
    with pytest.raises(
        UsageError, match=r"a bucket's name may only contain letters, digits, '\.', '_' and '-'"
    ) as raised:
        open_storage(uri)
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("text", ["/none", "/etc/passwd", "/tmp"])
def test_credentials_of_google_that_are_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", text)
    with pytest.raises(UsageError, match=f"^GOOGLE_APPLICATION_CREDENTIALS={text}: ") as raised:
        open_storage("gs://bucket/x")
    assert "\n" not in str(raised.value)
