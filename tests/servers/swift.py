"""OpenStack Swift with its S3 interface, one node: it checks signatures, and knows no conditional writes."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers import answering, free_port, process

ACCESS_KEY, SECRET_KEY = "test:tester", "testing"
PROGRAMS = ("swift-proxy-server", "swift-object-server", "swift-ring-builder", "memcached")

_STORAGE = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {etc}
devices = {devices}
mount_check = false
disable_fallocate = true
log_level = ERROR
log_address = {etc}/no-syslog
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

_PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 1
user = {user}
swift_dir = {etc}
log_level = ERROR
log_address = {etc}/no-syslog
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth bulk copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
dns_compliant_bucket_names = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""

_SWIFT = """
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests
[storage-policy:0]
name = gold
default = yes
"""


@contextmanager
def swift(folder: Path) -> Iterator[str]:
    """Swift with its data, rings and logs in a folder. Gives its URL; the keys are ACCESS_KEY and SECRET_KEY."""
    import getpass

    ports = {name: free_port() for name in ("memcached", "proxy", "object", "container", "account")}
    devices = folder / "devices"
    (devices / "disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(_SWIFT)
    values = {"user": getpass.getuser(), "etc": folder, "devices": devices, "memcached": ports["memcached"]}
    with ExitStack() as stack:

        def start(name: str, command: list[object]) -> subprocess.Popen[bytes]:
            return stack.enter_context(process(command, folder / f"{name}.log"))

        start(
            "memcached",
            ["memcached", "-u", getpass.getuser(), "-l", "127.0.0.1", "-p", ports["memcached"], "-m", 64],
        )
        for kind in ("object", "container", "account"):
            ring = ["swift-ring-builder", str(folder / f"{kind}.builder")]
            for arguments in (
                ["create", "4", "1", "0"], ["add", f"r1z1-127.0.0.1:{ports[kind]}/disk", "1"], ["rebalance"],
            ):  # fmt: skip
                done = subprocess.run([*ring, *arguments], capture_output=True)
                if done.returncode > 1:  # 1 is a warning
                    raise RuntimeError(f"swift-ring-builder: {done.stdout!r} {done.stderr!r}")
            configuration = folder / f"{kind}.conf"
            configuration.write_text(_STORAGE.format(kind=kind, port=ports[kind], **values))
            start(kind, [f"swift-{kind}-server", configuration])
        configuration = folder / "proxy.conf"
        configuration.write_text(_PROXY.format(port=ports["proxy"], **values))
        server = start("proxy", ["swift-proxy-server", configuration])
        yield stack.enter_context(
            answering(f"http://127.0.0.1:{ports['proxy']}", folder / "proxy.log", server)
        )
