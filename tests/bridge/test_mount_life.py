"""A mount never outlives what it is for, and what can't be mounted is one line."""

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest
from bams3.bridge.mount import serve
from bams3.errors import UsageError
from mounts import fuse, limit, mount, running  # noqa: F401
from pages import taken_by
from peers import need


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("test -s $0", 0)]
)
def test_the_exit_code_of_the_command(small: Path, tmp_path: Path, script: str, code: int) -> None:
    done = mount(
        small.with_suffix(".bams3"), tmp_path / "m", "--", "sh", "-c", script, tmp_path / "m" / "in.bam"
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("with_command", [True, False], ids=["command", "foreground"])
def test_signals(small: Path, tmp_path: Path, name: str, with_command: bool) -> None:
    """They go to the command, and end a mount without one, which is no error."""
    number = signal.Signals[name]
    command = ["--", "sh", "-c", "echo; exec sleep 1000"] if with_command else []
    with running(small.with_suffix(".bams3"), tmp_path / "m", *command) as (process, _):
        assert os.path.ismount(tmp_path / "m")
        process.send_signal(number)
        assert process.wait() == (128 + number if with_command else 0)
        assert not (tmp_path / "m").exists()


def test_ignored_signals(small: Path, tmp_path: Path) -> None:
    """Those that whoever starts it ignores, as nohup does, do not end it, and it learns that its command has ended."""
    with running(small.with_suffix(".bams3"), tmp_path / "m", ignored="SIGHUP") as (process, _):
        process.send_signal(signal.SIGHUP)
        subprocess.run(["ls", tmp_path / "m"], check=True)
        assert process.poll() is None
        process.terminate()
        assert process.wait() == 0
    command = ["--", "sh", "-c", "echo; exit 7"]
    with running(small.with_suffix(".bams3"), tmp_path / "m", *command, ignored="SIGCHLD") as (process, _):
        assert process.wait() == 7


def test_a_killed_bams3_leaves_no_mount(small: Path, tmp_path: Path) -> None:
    command = ["--", "sh", "-c", "echo; exec sleep 1000"]
    with running(small.with_suffix(".bams3"), tmp_path / "m", *command) as (process, out):
        process.kill()
        process.wait()
        os.killpg(process.pid, signal.SIGKILL)  # the command, which holds its output, too
        assert out.read() == ""  # the serving process has ended as well
        assert not os.path.ismount(tmp_path / "m")
        assert os.listdir(tmp_path / "m") == []


@pytest.mark.parametrize(
    "command", [[], ["--", "sh", "-c", "echo; read line; exit 0"]], ids=["foreground", "command"]
)
def test_a_killed_server_is_an_error_and_leaves_no_mount(
    small: Path, tmp_path: Path, command: list[str]
) -> None:
    with running(small.with_suffix(".bams3"), tmp_path / "m", *command) as (process, _):
        server = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        dead = os.pidfd_open(int(server))
        os.kill(int(server), signal.SIGKILL)
        select.select([dead], [], [])
        os.close(dead)
        _, said = process.communicate()
        assert process.returncode == 1
        assert (
            said
            == "bams3 mount: the process that serves files was killed, so they could not be read to the end\n"
        )
        assert not os.path.lexists(tmp_path / "m")


def test_unmounting_ends_it(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of the page."""
    (code,) = taken_by(__file__, "docs/bridge.md")
    (tmp_path / "NA12878.bams3").symlink_to(small.with_suffix(".bams3"))
    monkeypatch.chdir(tmp_path)
    with running(*code.removeprefix("bams3 mount ").split()) as (process, _):
        subprocess.run(["fusermount3", "-u", "mnt"], check=True)
        assert process.wait() == 0


CAN_NOT = {
    "no dataset": (["{0}/none.bams3", "{0}/m"], "no such file or directory"),
    "an empty folder": (["{0}/empty", "{0}/m"], "neither a dataset nor a folder with datasets"),
    "files in the folder": (["{1}", "{0}"], "not empty"),
    "in a dataset": (["{1}", "{1}/m"], "lies in the dataset"),
    "nowhere": (["{1}", "{0}/none/m"], "No such file"),
    "no command": (["{1}", "{0}/m", "--", "{0}/none"], "No such file"),
    "no memory": (["--memory", "0", "{1}", "{0}/m"], "give a positive number"),
}  # fmt: skip


@pytest.mark.parametrize("case", CAN_NOT)
def test_mistakes_are_one_line(small: Path, tmp_path: Path, case: str) -> None:
    words, message = CAN_NOT[case]
    (tmp_path / "empty").mkdir()
    done = mount(*(word.format(tmp_path, small.with_suffix(".bams3")) for word in words))
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["empty"]


def test_without_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bams3.bridge.mount.DEVICE", "/dev/none")
    with pytest.raises(UsageError, match="/m: can't be mounted: /dev/none does not exist"):
        serve({}, f"{tmp_path}/m", lambda: None)


def test_without_the_right_to_mount(small: Path, tmp_path: Path) -> None:
    need("setpriv")
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-sys_admin", "bams3", "mount", small.with_suffix(".bams3"), tmp_path / "m"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"bams3 mount: {tmp_path}/m: can't be mounted: ")
    assert done.stderr.count("\n") == 1
