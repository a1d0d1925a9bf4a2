"""Settings for object stores from environment variables.

Invalid values raise UsageError, which names the variable and a valid value. Otherwise, obstore would panic, or its
error would not name the variable.
"""

import os
import re

from bams3.errors import UsageError

NO_SIGN_REQUEST = "BAMS3_NO_SIGN_REQUEST"  # anonymous requests
REQUEST_PAYER = "AWS_REQUEST_PAYER"  # "requester"
TIMEOUT = "BAMS3_TIMEOUT"  # seconds without data after which a request fails
CERTIFICATES = "AWS_CA_BUNDLE"  # a file
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

DEFAULT_TIMEOUT = 30.0
LARGEST_NUMBER = 1000

_HOST = r"(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
_URL = re.compile(rf"(?P<scheme>https?)://(?P<rest>{_HOST}(?:/[^\s?#@]*)?)", re.IGNORECASE | re.ASCII)
_PROXY = re.compile(rf"(?:(?:https?|socks[45][ah]?)://)?(?:[^\s@/]*@)?{_HOST}/?", re.IGNORECASE | re.ASCII)


def endpoint() -> str:
    """Return the URL of the S3 endpoint; "" if the environment does not set it."""
    name = next(filter(os.environ.get, ENDPOINTS), "")
    return checked_url(name, os.environ[name]) if name else ""


def checked_url(name: str, text: str) -> str:
    """Check the URL of a server, and strip its trailing slash. `name`: the setting from which it comes."""
    found = _URL.fullmatch(text)
    if found and _is_port(found["port"]):
        return f"{found['scheme'].lower()}://{found['rest'].rstrip('/')}"
    said = "" if {"@", "?"} & set(text) else f"={text}"  # passwords are not shown
    advice = "give http:// or https://, a host (IPv6 in brackets) and, if needed, a port: http://host:9000"
    if _URL.fullmatch(f"http://{text}"):
        advice = f"it has no scheme; write https://{text}, or http://{text}"
    raise UsageError(f"{name}{said}: not the URL of a server; {advice}")


def region() -> str:
    """Return the region; "" if the environment does not set it."""
    name = next(filter(os.environ.get, REGIONS), "")
    if name and not re.fullmatch(r"[A-Za-z0-9._-]+", os.environ[name]):
        raise UsageError(f"{name}={os.environ[name]}: not the name of a region; give one such as us-east-1")
    return os.environ[name] if name else ""


def keys() -> dict[str, str]:
    """Return the access keys that are set, by variable."""
    found = {name: os.environ[name] for name in KEYS if os.environ.get(name)}
    for name, value in found.items():
        if not re.fullmatch("[!-~]+", value):
            raise UsageError(
                f"{name}: the value contains a space, a newline or another invalid character; set it again"
            )
    return found


def check_proxies() -> None:
    """Raise UsageError for an invalid proxy, which obstore would silently ignore."""
    for name in filter(os.environ.get, PROXIES):
        found = _PROXY.fullmatch(os.environ[name])
        if not found or not _is_port(found["port"]):
            raise UsageError(
                f"{name}: not the URL of a proxy; give one such as http://host:3128, or unset it"
            )


def certificates() -> bytes | None:
    """Return the certificates from the file that replaces those of the system; None if no file is set."""
    path = os.environ.get(CERTIFICATES)
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UsageError(
            f"{CERTIFICATES}={path}: {error.strerror}; give a file of certificates in PEM format"
        ) from None
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise UsageError(
            f"{CERTIFICATES}={path}: the file contains no certificates; give a file of certificates in PEM format"
        )
    return data


def anonymous() -> bool:
    """Tell whether requests are anonymous (not signed)."""
    return _flag(NO_SIGN_REQUEST, {"1", "true", "yes", "on"}, "1")


def requester_pays() -> bool:
    return _flag(REQUEST_PAYER, {"requester", "true"}, "requester")


def timeout() -> float:
    """Return the number of seconds without data after which a request fails."""
    text = os.environ.get(TIMEOUT) or str(DEFAULT_TIMEOUT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 86400:
        raise UsageError(f"{TIMEOUT}={text}: give a number of seconds greater than 0")
    return seconds


def number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not re.fullmatch("0*[1-9][0-9]{0,3}", text) or int(text) > LARGEST_NUMBER:
        raise UsageError(f"{name}={text}: give a whole number from 1 to {LARGEST_NUMBER}")
    return int(text)


def _flag(name: str, yes: set[str], advice: str) -> bool:
    text = os.environ.get(name, "").lower()
    if text not in yes | {"", "0", "false", "no", "off"}:
        raise UsageError(f"{name}={text}: give {advice}, or unset it")
    return text in yes


def _is_port(text: str | None) -> bool:
    return text is None or 0 < int(text) < 65536
