"""What goes wrong around mounts and servers: no wrong byte, nothing that leaks or hangs."""

import asyncio
import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from bams3.bridge import http_content, http_htsget, http_server
from bams3.bridge.http_content import Work
from bams3.bridge.http_log import ClientLeftError
from bams3.bridge.virtual_bam import VirtualBam
from bams3.dataset.reader import DatasetReader
from bams3.operations.convert import convert
from mounts import fuse, limit, running  # noqa: F401
from served import HANG, Server, client, rest_of, serving
from servers.awaited import until
from servers.faults import Faults
from uvicorn.server import ServerState
from virtual_bams import whole

Connect = Callable[[str, str], socket.socket]


@asynccontextmanager
async def patient(app: Any) -> AsyncIterator[tuple[str, int]]:
    """The address of an application that is served as `bams3 serve` does."""
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: http_server.Patient(config, ServerState(), {}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def peak(server: Server) -> int:
    """The most memory that a server had, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def test_200_clients_at_once(local: Path, data: bytes) -> None:
    """Each gets its own bytes, whole or in ranges, also where some leave in the middle; nothing is left behind."""
    number, most = 200, 400 << 20
    with serving("--memory", "16", local) as server:
        httpx2.get(f"{server.url}/bam/d.bam.csi")
        before = descriptors(server)

        async def use(http: httpx2.AsyncClient, seed: int) -> None:
            chance = random.Random(seed)
            start = chance.randrange(len(data))
            end = min(start + chance.choice([1, 5000, 300_000]), len(data))
            given = await http.get(f"{server.url}/bam/d.bam", headers={"range": f"bytes={start}-{end - 1}"})
            assert given.content == data[start:end]
            place = chance.randrange(900_000)
            query = f"referenceName=chr1&start={place}&end={place + 5000}{chance.choice(['', '&fields=POS'])}"
            ticket = (await http.get(f"{server.url}/reads/d?{query}")).json()["htsget"]
            assert (
                await http.get(next(each["url"] for each in ticket["urls"] if "://" in each["url"]))
            ).content
            async with http.stream("GET", f"{server.url}/bam/d.bam") as given:
                async for portion in given.aiter_raw():
                    assert data.startswith(portion)
                    break

        async def use_all() -> None:
            limits = httpx2.Limits(max_connections=number, keepalive_expiry=1)  # sooner than the server's
            async with httpx2.AsyncClient(timeout=HANG, limits=limits) as http, asyncio.TaskGroup() as group:
                for seed in range(number):
                    group.create_task(use(http, seed))

        asyncio.run(use_all())
        until(lambda: descriptors(server) <= before)
        assert peak(server) < most
        assert server.stop() == 0
        assert not [line for line in server.lines() if "failed" in line]
        assert len(server.lines()) == 1 + number * 4


def test_slow_readers(local: Path, data: bytes, connection: Connect) -> None:
    """They hold a portion each and no thread: others are answered meanwhile, and they get all in the end."""
    with serving("--memory", "1", local) as server:
        slow = [connection(server.url, "/bam/d.bam") for _ in range(http_content.THREADS + 10)]
        begun = [each.recv(100) for each in slow]
        assert httpx2.get(f"{server.url}/bam/d.bam", timeout=HANG).content == data
        for first, each in zip(begun[:10], slow[:10], strict=True):
            assert (first + rest_of(each)).endswith(b"\r\n\r\n" + data)
        assert peak(server) < 512 << 20


def test_a_server_that_is_killed_in_mid_answer(local: Path, data: bytes, tmp_path: Path) -> None:
    """The client has a part that is right, and knows that it is a part."""
    taken = b""
    with (
        serving(local) as server,
        suppress(httpx2.HTTPError),
        httpx2.stream("GET", f"{server.url}/bam/d.bam", timeout=HANG) as given,
    ):
        for portion in given.iter_raw():
            taken += portion
            server.process.kill()
    assert 0 < len(taken) < len(data)
    assert data.startswith(taken)


@pytest.mark.parametrize("kind", ["503", "reset", "cut", "corrupt"])
def test_a_server_whose_storage_fails_at_times(remote: str, data: bytes, faults: Faults, kind: str) -> None:
    with serving(remote) as server:
        for at in (0, 2):
            faults.arm(kind, at=at)
            place = {"range": f"bytes={3_000_000 * at}-{3_000_000 * (at + 1)}"}
            given = httpx2.get(f"{server.url}/bam/d.bam", headers=place, timeout=HANG)
            assert given.content == data[3_000_000 * at : 3_000_000 * (at + 1) + 1]
            faults.disarm()


def test_a_server_whose_storage_fails_for_a_while(remote: str, data: bytes, faults: Faults) -> None:
    """It says so, without a wrong byte, and recovers."""
    with serving(remote) as server:
        httpx2.head(f"{server.url}/bam/d.bam", timeout=HANG)
        faults.arm("403", times=1000)
        place = {"range": "bytes=1000000-2000000"}
        assert httpx2.get(f"{server.url}/bam/d.bam", headers=place, timeout=HANG).status_code >= 500
        faults.disarm()
        given = httpx2.get(f"{server.url}/bam/d.bam", headers=place, timeout=HANG)
        assert given.content == data[1_000_000:2_000_001]


def test_a_dataset_that_is_replaced_while_it_is_mounted(local: Path, source: Path, tmp_path: Path) -> None:
    """What is read afterwards is an error, with one line; bytes of the new dataset are never among those of the old."""
    dataset = Path(shutil.copytree(local, tmp_path / "d.bams3"))
    data = whole(VirtualBam(DatasetReader(local)))
    with running(dataset, tmp_path / "m", "--", "sh", "-c", "echo; read line") as (process, _):
        with (tmp_path / "m/d.bam").open("rb", buffering=0) as file:
            assert file.read(1000) == data[:1000]
            convert(source, dataset, overwrite=True, chunk_size="256K")
            taken = b""
            with suppress(OSError):
                while portion := file.read(1 << 17):
                    taken += portion
        assert data[1000:].startswith(taken)
        assert len(taken) < len(data) - 1000
        done = subprocess.run(["samtools", "view", "-c", tmp_path / "m/d.bam"], capture_output=True)
        assert done.returncode != 0
        said = process.communicate("\n")[1].splitlines()
    assert len(said) == 1
    assert "the dataset was replaced after it had been opened" in said[0]


def test_heads_that_come_too_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their connections are closed; those with whole heads will not be, however long the answer takes."""
    limits: list[asyncio.TimerHandle] = []

    async def app(scope: object, receive: object, send: Callable[..., object]) -> None:
        assert [each.cancelled() for each in limits] == [True]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def answers(sent: bytes, patience: float) -> bytes:
        monkeypatch.setattr(http_server, "PATIENCE", patience)
        loop = asyncio.get_running_loop()
        later = loop.call_later

        def noted(delay: float, *arguments: Any) -> asyncio.TimerHandle:
            handle = later(delay, *arguments)
            limits.extend([handle] if delay == patience else [])
            return handle

        limits.clear()
        monkeypatch.setattr(loop, "call_later", noted)
        async with patient(app) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(sent)
            found = await asyncio.wait_for(reader.read(), HANG)
            writer.close()
        return found

    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    assert asyncio.run(answers(head, 0.05)) == b""
    assert asyncio.run(answers(b"", 0.05)) == b""
    assert asyncio.run(answers(head + b"\r\n", 2 * HANG)).endswith(b"\r\n\r\nok")


def test_a_body_that_comes_too_slowly(monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    monkeypatch.setattr(http_htsget, "PATIENCE", 0.05)
    http = client(small.with_suffix(".bams3"))
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/reads/in", "raw_path": b"/reads/in", "query_string": b"",
        "headers": [(b"host", b"localhost")], "scheme": "http", "server": ("localhost", 80), "root_path": "",
    }  # fmt: skip
    anyio.run(http.app, scope, receive, send)
    assert sent[0]["status"] == 400
    assert b"took longer" in sent[1]["body"]  # type: ignore[operator]


def test_a_client_who_leaves_ends_the_answer() -> None:
    """However many portions are still to be made."""
    ended: asyncio.Queue[bool] = asyncio.Queue()

    async def app(scope: object, receive: object, send: Callable[..., object]) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000000")]}
        )
        try:
            for _ in range(99):
                await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})
            ended.put_nowait(False)
        except ClientLeftError:
            ended.put_nowait(True)

    async def leave() -> bool:
        async with patient(app) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            return await asyncio.wait_for(ended.get(), HANG)

    assert asyncio.run(leave())


def test_the_share_of_a_user() -> None:
    """One user's work leaves threads for others, however much of it there is."""
    go, running, most = threading.Event(), set(), []

    def action(number: int) -> int:
        running.add(number)
        most.append(len(running))
        assert go.wait(HANG)
        running.discard(number)
        return number

    async def use() -> None:
        work = Work(2)
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(work.do(lambda number=number: action(number), "greedy"))
            await asyncio.sleep(0)
            for user in ("other", None):
                assert await work.do(lambda: 1, user) == 1
            go.set()

    asyncio.run(use())
    assert len(most) == 100
    assert max(most) <= http_content.SHARE
