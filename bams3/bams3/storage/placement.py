"""Settings for objects that are written to S3: encryption, storage class and tags, from environment variables.

The variables for encryption have the same names as in obstore and other programs that use the same library. Invalid
values raise UsageError, as in `environment`.
"""

import os
import re
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bams3.errors import UsageError

ENCRYPTION = "AWS_SERVER_SIDE_ENCRYPTION"
KMS_KEY = "AWS_SSE_KMS_KEY_ID"
BUCKET_KEY = "AWS_SSE_BUCKET_KEY_ENABLED"
CUSTOMER_KEY = "AWS_SSE_CUSTOMER_KEY_BASE64"
STORAGE_CLASS = "BAMS3_S3_STORAGE_CLASS"
TAGS = "BAMS3_S3_TAGS"
SETTINGS = (ENCRYPTION, KMS_KEY, BUCKET_KEY, CUSTOMER_KEY, STORAGE_CLASS, TAGS)

KMS = ("aws:kms", "aws:kms:dsse")
CUSTOMER = "sse-c"
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TAG_KEY, _TAG_VALUE = r"[\w +\-=.:/@]{1,128}", r"[\w +\-=.:/@]{0,256}"


def encryption(endpoint: str) -> dict[str, Any]:
    """Return the options of an S3Store for encryption by the server. `endpoint`: "" for AWS."""
    kind, key, customer = (os.environ.get(name) for name in (ENCRYPTION, KMS_KEY, CUSTOMER_KEY))
    if kind not in (None, "AES256", *KMS, CUSTOMER):
        raise UsageError(f"{ENCRYPTION}={kind}: give AES256, aws:kms, aws:kms:dsse or sse-c, or unset it")
    if key and kind not in KMS:
        raise UsageError(f"{KMS_KEY}: a KMS key needs {ENCRYPTION}=aws:kms; set both, or neither")
    if bool(customer) != (kind == CUSTOMER):
        raise UsageError(
            f"{CUSTOMER_KEY}: a customer key needs {ENCRYPTION}={CUSTOMER}; set both, or neither"
        )
    options: dict[str, Any] = {"server_side_encryption": kind} if kind else {}
    if key:
        options["sse_kms_key_id"] = _printable(KMS_KEY, key)
    if customer:
        options["sse_customer_key_base64"] = _customer_key(customer, endpoint)
    return options | _bucket_key(kind)


def attributes() -> dict[str, str]:
    """Return the attributes of written objects: their storage class, unless it is the default of the bucket."""
    name = os.environ.get(STORAGE_CLASS, "")
    if name in ARCHIVES:
        raise UsageError(
            f"{STORAGE_CLASS}={name}: objects in it can't be read, but bams3 reads what it writes; give another class, "
            "and let a lifecycle rule of the bucket move the objects later"
        )
    if name and not re.fullmatch("[A-Z][A-Z0-9_]*", name):
        raise UsageError(f"{STORAGE_CLASS}={name}: not a storage class; give one such as STANDARD_IA")
    return {"Storage-Class": name} if name else {}


def tags() -> dict[str, str]:
    """Return the tags of written objects."""
    text = os.environ.get(TAGS, "")
    try:
        found = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict") if text else []
    except ValueError:
        found = [("", "")]
    valid = all(re.fullmatch(_TAG_KEY, key) and re.fullmatch(_TAG_VALUE, value) for key, value in found)
    if not valid or len({key for key, _ in found}) != len(found) or len(found) > 10:
        raise UsageError(
            f"{TAGS}={text}: give at most ten tags as KEY=VALUE&KEY=VALUE, with %20 for a space and %26 for &"
        )
    return dict(found)


def _bucket_key(kind: str | None) -> dict[str, bool]:
    text = os.environ.get(BUCKET_KEY)
    if text is None:
        return {}
    if text not in ("true", "false"):
        raise UsageError(f"{BUCKET_KEY}={text}: give true or false, or unset it")
    if kind != KMS[0]:
        raise UsageError(f"{BUCKET_KEY}: bucket keys need {ENCRYPTION}={KMS[0]}; set both, or neither")
    return {"sse_bucket_key_enabled": text == "true"}


def _customer_key(text: str, endpoint: str) -> str:
    try:
        size = len(b64decode(text, validate=True))
    except ValueError:
        size = 0
    if size != 32:
        raise UsageError(
            f"{CUSTOMER_KEY}: not a key; give 32 random bytes in base64: openssl rand -base64 32"
        )
    server = urlsplit(endpoint)
    if server.scheme == "http" and server.hostname not in _LOOPBACK:
        raise UsageError(f"{CUSTOMER_KEY}: {endpoint} would get the key in plain text; use https://")
    return text


def _printable(name: str, text: str) -> str:
    if not re.fullmatch("[!-~]+", text):
        raise UsageError(
            f"{name}: the value contains a space, a newline or another invalid character; set it again"
        )
    return text
