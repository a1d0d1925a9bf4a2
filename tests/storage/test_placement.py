"""How S3 stores what is written: encryption, storage class and tags are what the server is told with every object."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import forge
import pytest
from bams3.cli import main
from bams3.errors import UsageError
from bams3.storage import open_storage
from bams3.storage.multipart import PART
from servers.faults import Faults
from servers.fixtures import s3_client

KEY = base64.b64encode(bytes(range(32))).decode()
SSE = "x-amz-server-side-encryption"
KMS = {"AWS_SERVER_SIDE_ENCRYPTION": "aws:kms"}
OWN = {"AWS_SERVER_SIDE_ENCRYPTION": "sse-c", "AWS_SSE_CUSTOMER_KEY_BASE64": KEY}
ARN = "arn:aws:kms:us-east-1:123456789012:key/abc"

# Settings → headers of every request that writes an object, or begins to.
CASES = {
    "nothing": ({}, {}),
    "SSE-S3": ({"AWS_SERVER_SIDE_ENCRYPTION": "AES256"}, {SSE: "AES256"}),
    "SSE-KMS": (KMS, {SSE: "aws:kms"}),
    "a key": (KMS | {"AWS_SSE_KMS_KEY_ID": ARN}, {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": ARN}),
    "a bucket key": (
        KMS | {"AWS_SSE_BUCKET_KEY_ENABLED": "true"},
        {SSE: "aws:kms", f"{SSE}-bucket-key-enabled": "true"},
    ),
    "two layers": ({"AWS_SERVER_SIDE_ENCRYPTION": "aws:kms:dsse"}, {SSE: "aws:kms:dsse"}),
    "a class": ({"BAMS3_S3_STORAGE_CLASS": "STANDARD_IA"}, {"x-amz-storage-class": "STANDARD_IA"}),
    "tags": (
        {"BAMS3_S3_TAGS": "study=heart%20failure"},
        {"x-amz-tagging": "study=heart+failure"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_server_is_told(
    case: str, faults: Faults, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, headers = CASES[case]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    faults.arm("")
    storage = open_storage(f"{bucket}/x")
    storage.put("a", b"1")
    storage.put_new("b", b"2")
    with storage.create("c") as file:
        file.write(bytes(PART + 1))
    requests = faults.disarm()
    begun = [request for request in requests if request.method == "PUT" and "partNumber" not in request.path]
    begun += [request for request in requests if request.path.partition("?")[2].startswith("uploads")]
    assert len(begun) == 3
    for request in begun:
        told = {
            name: value for name, value in request.headers.items() if name.startswith(("x-amz-s", "x-amz-t"))
        }
        assert {name: told[name] for name in told if name != "x-amz-sdk-checksum-algorithm"} == headers
        assert not any(name.startswith(("x-amz-acl", "x-amz-grant")) for name in request.headers)
    assert [storage.get(name) for name in "ab"] == [b"1", b"2"]


def test_a_key_of_ones_own(faults: Faults, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request that moves data has it; a list has not."""
    for name, value in OWN.items():
        monkeypatch.setenv(name, value)
    faults.arm("")
    storage = open_storage(f"{bucket}/x")
    storage.put("a", b"1")
    with storage.create("c") as file:
        file.write(bytes(PART + 1))
    assert (storage.get("a"), storage.size("c"), storage.get_range("c", PART, 9)) == (b"1", PART + 1, b"\0")
    assert storage.sizes() == {"a": 1, "c": PART + 1}
    told = {
        (request.method, "uploadId" in request.path): request.headers.get(f"{SSE}-customer-key")
        for request in faults.disarm()
        if "list-type" not in request.path and not (request.method == "POST" and "uploadId" in request.path)
    }
    assert told == dict.fromkeys(told, KEY)
    assert told.keys() >= {("PUT", False), ("PUT", True), ("GET", False), ("HEAD", False)}


def test_a_conversion(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All objects of a dataset, of which the server tells how it stores them."""
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "aws:kms")
    monkeypatch.setenv("AWS_SSE_KMS_KEY_ID", ARN)
    monkeypatch.setenv("BAMS3_S3_STORAGE_CLASS", "STANDARD_IA")
    monkeypatch.setenv("BAMS3_S3_TAGS", "study=heart&consent=a/b")
    (tmp_path / "x.bam").write_bytes(forge.bam())
    assert main(["convert", str(tmp_path / "x.bam"), f"{bucket}/d.bams3"]) == 0
    assert main(["verify", "--strict", f"{bucket}/d.bams3"]) == 0
    client, name = s3_client(), bucket.removeprefix("s3://")
    keys = [found["Key"] for found in client.list_objects_v2(Bucket=name)["Contents"]]
    assert len(keys) > 4
    for key in keys:
        head = client.head_object(Bucket=name, Key=key)
        stored = (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["StorageClass"])
        assert stored == ("aws:kms", ARN, "STANDARD_IA")
        tags = client.get_object_tagging(Bucket=name, Key=key)["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {"study": "heart", "consent": "a/b"}


NONSENSE = [
    ({"AWS_SERVER_SIDE_ENCRYPTION": "aes"}, "=aes: give AES256, aws:kms, aws:kms:dsse or sse-c"),
    ({"AWS_SERVER_SIDE_ENCRYPTION": ""}, "AWS_SERVER_SIDE_ENCRYPTION=: give AES256"),
    ({"AWS_SSE_BUCKET_KEY_ENABLED": ""}, "AWS_SSE_BUCKET_KEY_ENABLED=: give true or false, or unset it"),
    (
        {"AWS_SSE_KMS_KEY_ID": ARN},
        "AWS_SSE_KMS_KEY_ID: a KMS key needs AWS_SERVER_SIDE_ENCRYPTION=aws:kms",
    ),
    (KMS | {"AWS_SSE_KMS_KEY_ID": "a b"}, "AWS_SSE_KMS_KEY_ID: the value contains a space"),
    ({"AWS_SSE_BUCKET_KEY_ENABLED": "true"}, "bucket keys need AWS_SERVER_SIDE_ENCRYPTION=aws:kms"),
    (KMS | {"AWS_SSE_BUCKET_KEY_ENABLED": "1"}, "AWS_SSE_BUCKET_KEY_ENABLED=1: give true or false"),
    ({"AWS_SSE_CUSTOMER_KEY_BASE64": KEY}, "a customer key needs AWS_SERVER_SIDE_ENCRYPTION=sse-c"),
    ({"AWS_SERVER_SIDE_ENCRYPTION": "sse-c"}, "a customer key needs AWS_SERVER_SIDE_ENCRYPTION=sse-c"),
    (OWN | {"AWS_SSE_CUSTOMER_KEY_BASE64": KEY[4:]}, "not a key; give 32 random bytes in base64"),
    (OWN | {"AWS_SSE_CUSTOMER_KEY_BASE64": "s3cr3t"}, "not a key; give 32 random bytes in base64"),
    (OWN | {"AWS_ENDPOINT_URL": "http://store.lab"}, "http://store.lab would get the key in plain text"),
    ({"BAMS3_S3_STORAGE_CLASS": "GLACIER"}, "=GLACIER: objects in it can't be read"),
    ({"BAMS3_S3_STORAGE_CLASS": "cold\n"}, r"=cold\n: not a storage class; give one such as STANDARD_IA"),
    ({"BAMS3_S3_TAGS": "study"}, "BAMS3_S3_TAGS=study: give at most ten tags"),
    ({"BAMS3_S3_TAGS": "a=1&a=2"}, "give at most ten tags"),
    ({"BAMS3_S3_TAGS": "a=%00"}, "give at most ten tags"),
    ({"BAMS3_S3_TAGS": "&".join(f"k{number}=v" for number in range(11))}, "give at most ten tags"),
]


@pytest.mark.parametrize(("settings", "message"), NONSENSE)
def test_nonsense_is_one_line(
    settings: dict[str, str], message: str, s3_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore")
    s3_at("http://127.0.0.1:9")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as raised:
        open_storage("s3://bucket/x")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not any(len(value) > 4 and value in str(raised.value) for value in (KEY, KEY[4:], "s3cr3t"))
