"""Connections to object stores: the endpoint, region and credentials of a bucket.

The configuration is that of the AWS command line (environment variables and profiles); see docs/object-storage.md.
"""

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache, lru_cache
from http.client import HTTPException
from threading import Lock
from typing import Any

from bams3.errors import UsageError
from bams3.extras import need
from bams3.storage import environment, placement

CONNECT_TIMEOUT = 5.0  # seconds
LONGEST_REQUEST = 20  # maximum duration of a request, as a multiple of the timeout
CREDENTIALS_KEPT = timedelta(
    minutes=5
)  # botocore renews temporary credentials ten minutes before they expire
DEFAULT_REGION = "us-east-1"
UPLOAD_RETRIES = 9

_ONCE: Any = {"max_retries": 0}
_REPEATED: Any = {"max_retries": UPLOAD_RETRIES, "retry_timeout": timedelta(minutes=3)}

GOOGLE_ENDPOINT, GOOGLE_CREDENTIALS = "GOOGLE_BASE_URL", "GOOGLE_APPLICATION_CREDENTIALS"

# If any of these variables changes, a new connection is made.
_SETTINGS = (
    environment.NO_SIGN_REQUEST, environment.REQUEST_PAYER, environment.TIMEOUT, environment.CERTIFICATES,
    *environment.KEYS, *environment.ENDPOINTS, *environment.REGIONS, *environment.PROXIES, "AWS_PROFILE",
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", GOOGLE_ENDPOINT, GOOGLE_CREDENTIALS, *placement.SETTINGS,
)  # fmt: skip


class Connection:
    """A bucket or a web server, and the credentials for it.

    `store` and `uploads` are obstore stores. `store` makes every request once, because `requests.perform` repeats
    requests. `uploads` itself retries parts of uploads, because one call of obstore makes many requests. `placed`:
    options for obstore's calls that write.
    """

    store: Any
    uploads: Any = None
    placed: dict[str, Any]

    def __init__(self, scheme: str, authority: str) -> None:
        """`authority`: a bucket, or the URL of a web server. Raises UsageError if packages or settings are missing."""
        need("obstore", f"{scheme}://")
        from obstore import store
        from obstore.exceptions import BaseError

        self.scheme, self.authority = scheme, authority
        self._moving = Lock()
        self._s3 = _S3Settings() if scheme == "s3" else None
        self.placed = self._s3.placed if self._s3 else {}
        try:
            if self._s3:
                self._connect_s3(self._s3)
            elif scheme == "gs":
                options: Any = {"skip_signature": True} if environment.anonymous() else {}
                base = os.environ.get(GOOGLE_ENDPOINT, "")
                options["client_options"] = _client(base and environment.checked_url(GOOGLE_ENDPOINT, base))
                self.store = store.GCSStore(authority, retry_config=_ONCE, **options)
                self.uploads = store.GCSStore(authority, retry_config=_REPEATED, **options)
            else:
                self.store = store.HTTPStore(authority, client_options=_client(authority), retry_config=_ONCE)
        except (ValueError, BaseError) as error:
            said, path = str(error).splitlines()[0], os.environ.get(GOOGLE_CREDENTIALS)
            named = f"{GOOGLE_CREDENTIALS}={path}" if path and scheme == "gs" else f"{scheme}://"
            raise UsageError(f"{named}: {said}") from None

    def _connect_s3(self, settings: "_S3Settings") -> None:
        from obstore.store import S3Store

        options = settings.credentials | settings.encryption
        options |= {"region": settings.region, "request_payer": settings.request_payer}
        if settings.endpoint:
            options["endpoint"] = settings.endpoint
        elif "." not in self.authority:  # AWS; its wildcard certificate covers only names without dots
            options["virtual_hosted_style_request"] = True
        options["client_options"] = _client(settings.endpoint)
        self.store = S3Store(self.authority, retry_config=_ONCE, **options)
        self.uploads = S3Store(self.authority, retry_config=_REPEATED, **options)

    def move(self, region: str, store: Any) -> bool:
        """Connect to the bucket's region after a request through `store` was redirected.

        `region`: the region; "" if it is unknown and must be requested. Returns False if the connection already is to
        that region.
        """
        if self._s3 is None:
            return False
        with self._moving:
            if store is not self.store:  # another request has already moved the connection
                return True
            region = region or self._region_of_bucket(self._s3.endpoint)
            if region in ("", self._s3.region):
                return False
            self._s3.region = region
            self._connect_s3(self._s3)
            return True

    def _region_of_bucket(self, endpoint: str) -> str:
        """Return the bucket's region, from an anonymous HEAD request to S3; "" if there is no answer."""
        url = f"{endpoint or 'https://s3.amazonaws.com'}/{self.authority}"
        opener, request = urllib.request.build_opener(_NoRedirect), urllib.request.Request(url, method="HEAD")
        try:
            with opener.open(request, timeout=CONNECT_TIMEOUT) as answer:
                return str(answer.headers.get("x-amz-bucket-region", ""))
        except urllib.error.HTTPError as error:
            return str(error.headers.get("x-amz-bucket-region", ""))
        except (OSError, HTTPException):
            return ""

    def abort_uploads(self, prefix: str, of: Callable[[str], bool]) -> None:
        """Abort incomplete uploads below a prefix, of keys that `of` accepts.

        This uses boto3, because obstore can't list uploads. If the store can't list uploads, or denies access to the
        list, they remain until its lifecycle rules remove them.
        """
        if self._s3 is None:
            return
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(ClientError, BotoCoreError):
            client = self._s3.client()
            for page in client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.authority, Prefix=prefix
            ):
                for upload in filter(lambda upload: of(upload["Key"]), page.get("Uploads", [])):
                    client.abort_multipart_upload(
                        Bucket=self.authority, Key=upload["Key"], UploadId=upload["UploadId"]
                    )


class _S3Settings:
    """S3 settings from the environment or else from the profile.

    `endpoint`: "" for AWS. `credentials`, `encryption`: options for obstore. `placed`: see `Connection`.
    """

    def __init__(self) -> None:
        self.endpoint, self.region = environment.endpoint(), environment.region()
        self.request_payer = environment.requester_pays()
        self.credentials: dict[str, Any] = {}
        if environment.anonymous():
            self.credentials = {"skip_signature": True}
        elif {*environment.KEYS[:2]} <= (keys := environment.keys()).keys() and not _has_profiles():
            self.credentials = {key.lower()[4:]: value for key, value in keys.items()}
        else:
            self._ask_boto3()
        self.region = self.region or DEFAULT_REGION
        self.encryption = placement.encryption(self.endpoint)
        self.placed = {"attributes": placement.attributes() or None, "tags": placement.tags() or None}

    def _ask_boto3(self) -> None:
        """Use boto3's chain of credentials: environment, profile, single sign-on, role, container, instance."""
        need("boto3", "s3://")
        import botocore.session
        from botocore.configprovider import ConfiguredEndpointProvider
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            session = botocore.session.Session()
            if not self.endpoint:
                profile = session.get_scoped_config()
                named = ConfiguredEndpointProvider(session.full_config, profile, "s3").provide()
                self.endpoint = environment.checked_url("endpoint_url of the profile", named) if named else ""
            self.region = self.region or session.get_config_variable("region") or ""
            self.credentials = {"credential_provider": Boto3CredentialProvider(session, ttl=CREDENTIALS_KEPT)}
        except BotoCoreError as error:
            raise UsageError(f"s3://: {error}") from None
        except ValueError:  # no credentials
            raise UsageError(
                "s3://: no AWS credentials were found (environment, profile, role); configure some, "
                f"or read a public bucket with {environment.NO_SIGN_REQUEST}=1"
            ) from None

    def client(self) -> Any:
        """Return a boto3 client with these settings."""
        need("boto3", "s3://")
        import boto3.session
        from botocore import UNSIGNED
        from botocore.config import Config

        config = Config(
            s3={"addressing_style": "path"} if self.endpoint else {},
            signature_version=UNSIGNED if environment.anonymous() else None,
            retries={"mode": "standard", "total_max_attempts": UPLOAD_RETRIES + 1},
            connect_timeout=min(CONNECT_TIMEOUT, environment.timeout()),
            read_timeout=environment.timeout(),
        )
        return boto3.session.Session().client(
            "s3", endpoint_url=self.endpoint or None, region_name=self.region, config=config
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A handler that does not follow redirects, because their headers have the region."""

    def redirect_request(self, *_: Any) -> None:
        return None


def connect(scheme: str, authority: str) -> Connection:
    """Return the connection to a bucket or web server, which all callers with the same settings share.

    Raises UsageError in a process that was forked from a process with connections. There, requests would hang, because
    threads do not survive a fork.
    """
    if _connected_process() != os.getpid():
        place = authority if scheme in ("http", "https") else f"{scheme}://{authority}"
        raise UsageError(
            f"{place}: a forked process can't use its parent's connections; start processes with "
            'multiprocessing.get_context("spawn"), as in ProcessPoolExecutor(mp_context=…)'
        )
    return _connect(scheme, authority, tuple(os.environ.get(name) for name in _SETTINGS))


@cache
def _connected_process() -> int:
    """Return the id of the first process that requested a connection: this one, or the parent of the fork."""
    return os.getpid()


@lru_cache(maxsize=64)
def _connect(scheme: str, authority: str, settings: tuple[str | None, ...]) -> Connection:
    return Connection(scheme, authority)


def _has_profiles() -> bool:
    """Tell whether an AWS config file exists, which may set an endpoint or a region."""
    return os.path.exists(os.path.expanduser(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"))


def _client(endpoint: str) -> Any:
    """Return obstore's options for an HTTP client."""
    from bams3._version import __version__

    environment.check_proxies()
    seconds = environment.timeout()
    options: dict[str, Any] = {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=min(CONNECT_TIMEOUT, seconds)),
        "read_timeout": timedelta(seconds=seconds),
        "timeout": timedelta(seconds=LONGEST_REQUEST * seconds),
        "user_agent": f"bams3/{__version__}",
    }
    if data := environment.certificates():
        options["root_certificate"] = data
    return options
