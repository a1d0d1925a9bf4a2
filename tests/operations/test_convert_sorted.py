"""convert --sort: the dataset that samtools sort and convert make, of any order, from files and pipes; its errors."""

import os
import random
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import hostile
import pysam
import pytest
from bam_blocks import piped
from bams3.duplicates.options import Markdup
from bams3.operations import convert as converting
from bams3.operations.convert import convert
from conversions import fails
from engines import run_bams3 as run
from engines import run_block
from listings import contents
from peers import DATA, need
from servers.awaited import until

BAM = DATA / "illumina_chr22_NA12878.bam"
PAGE = Path(__file__).parents[2] / "docs" / "from-the-aligner.md"


def _by_name(source: Path, target: Path) -> None:
    pysam.sort("-n", "-o", str(target), str(source), catch_stdout=False)


def _shuffled(source: Path, target: Path) -> None:
    with pysam.AlignmentFile(source) as file, pysam.AlignmentFile(target, "wb", template=file) as out:
        reads = list(file)
        random.Random(1).shuffle(reads)
        for read in reads:
            out.write(read)


def _late(source: Path, target: Path) -> None:
    """In order but for the last tenth, which is that from before."""
    with pysam.AlignmentFile(source) as file, pysam.AlignmentFile(target, "wb", template=file) as out:
        reads = list(file)
        for read in (
            reads[: len(reads) // 2]
            + reads[len(reads) * 6 // 10 :]
            + reads[len(reads) // 2 :][: len(reads) // 10]
        ):
            out.write(read)


ORDERS = {"by name": _by_name, "shuffled": _shuffled, "late disorder": _late}


@pytest.mark.parametrize("order", ORDERS)
def test_the_dataset_is_that_of_samtools_sort(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "x.bam"
    ORDERS[order](BAM, made)
    pysam.sort("--no-PG", "-o", str(tmp_path / "y.bam"), str(made), catch_stdout=False)
    convert(tmp_path / "y.bam", tmp_path / "expected")
    expected = contents(tmp_path / "expected")
    runs: list[Any] = []
    begun = converting.Conversion.run
    monkeypatch.setattr(
        converting.Conversion, "run", lambda job, blocks: runs.append(job) or begun(job, blocks)
    )
    convert(made, tmp_path / "file", sort=True, verify=True)
    assert len(runs) == (2 if order == "late disorder" else 1)
    convert(made, tmp_path / "file of one worker", sort=True, workers=1, memory="100K", tmp_dir=str(tmp_path))
    with piped(made.read_bytes()) as path:
        convert(path, tmp_path / "pipe", sort=True, memory="200K")
    for name in ("file", "file of one worker", "pipe"):
        assert contents(tmp_path / name) == expected, name


@pytest.mark.parametrize("order", ["shuffled", "late disorder"])
def test_an_interrupted_run_goes_on(tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "x.bam"
    ORDERS[order](BAM, made)
    convert(made, tmp_path / "expected", sort=True)
    run_whole = converting.Conversion.run_whole

    def stopped(job: Any, source: Any) -> Any:
        run_whole(job, source)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(converting.Conversion, "run_whole", stopped)
        with pytest.raises(KeyboardInterrupt):
            convert(made, tmp_path / "d", sort=True)
    compressed = []
    compress = converting.compress_row_group
    monkeypatch.setattr(
        converting, "compress_row_group", lambda *given: compressed.append(given) or compress(*given)
    )
    convert(made, tmp_path / "d", sort=True, resume=True)
    assert contents(tmp_path / "d") == contents(tmp_path / "expected")
    assert order != "shuffled" or compressed == []  # all was kept


def test_a_lossy_conversion_is_sorted_too(tmp_path: Path) -> None:
    _shuffled(BAM, tmp_path / "x.bam")
    pysam.sort("--no-PG", "-o", str(tmp_path / "y.bam"), str(tmp_path / "x.bam"), catch_stdout=False)
    lossy = {"qualities": "bin8", "drop_tags": ["MD"]}
    convert(tmp_path / "y.bam", tmp_path / "expected", **lossy)
    convert(tmp_path / "x.bam", tmp_path / "d", sort=True, **lossy)
    assert contents(tmp_path / "d") == contents(tmp_path / "expected")


def test_mates_are_fixed_as_by_samtools(tmp_path: Path) -> None:
    made, mended, ordered = tmp_path / "x.bam", tmp_path / "y.bam", tmp_path / "z.bam"
    pysam.samtools.collate("--no-PG", "-o", str(made), str(BAM), str(tmp_path / "t"), catch_stdout=False)
    pysam.samtools.fixmate("-m", "--no-PG", str(made), str(mended))
    pysam.sort("--no-PG", "-o", str(ordered), str(mended), catch_stdout=False)
    sam = pysam.samtools.view("-h", "--no-PG", str(made)).encode()
    convert(ordered, tmp_path / "expected")
    expected = contents(tmp_path / "expected")
    convert(made, tmp_path / "file", sort=True, fixmate=True, verify=True)
    convert(made, tmp_path / "one worker", sort=True, fixmate=True, workers=1, memory="100K")
    with piped(sam) as path:
        convert(path, tmp_path / "pipe", sort=True, fixmate=True)
    for name in ("file", "one worker", "pipe"):
        assert contents(tmp_path / name) == expected, name
    lossy = {"qualities": "bin8", "drop_tags": ["MC"]}
    convert(ordered, tmp_path / "lossy", **lossy)
    convert(made, tmp_path / "lossy too", sort=True, fixmate=True, **lossy)
    assert contents(tmp_path / "lossy too") == contents(tmp_path / "lossy")
    pysam.samtools.markdup("--no-PG", str(ordered), str(tmp_path / "m.bam"))
    convert(tmp_path / "m.bam", tmp_path / "marked")
    convert(made, tmp_path / "whole chain", sort=True, fixmate=True, markdup=Markdup(), memory="200K")
    assert contents(tmp_path / "whole chain") == contents(tmp_path / "marked")


def test_sorted_input_is_not_fixed(tmp_path: Path) -> None:
    line = fails(run("convert", "--sort", "--fixmate", BAM, tmp_path / "d"))
    assert f"{BAM}: its header says that it is sorted by coordinate" in line
    assert not (tmp_path / "d").exists()


REFUSED = {
    "--fixmate": "add it, or leave them out",
    "--memory 1G": "add it, or leave them out",
    "--tmp-dir .": "add it, or leave --tmp-dir out",
    "--sort --memory 0": "--memory 0: give a size",
    "--sort --memory 1.5G": "--memory 1.5G: give a size",
    "--sort --tmp-dir nowhere": "--tmp-dir nowhere: not a folder",
    "--sort --batch 1/2": "cannot be combined",
}


@pytest.mark.parametrize("options", REFUSED)
def test_options_that_do_not_fit(tmp_path: Path, options: str) -> None:
    assert REFUSED[options] in fails(run("convert", *options.split(), BAM, tmp_path / "d"))
    assert not (tmp_path / "d").exists()


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    made = [hostile.good(0, pos, name=b"%d" % pos) for pos in range(90_000, 0, -3)]
    (tmp_path / "x.bam").write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, made))
    code = (
        "import sys, tempfile\nfrom bams3.cli import main\n"
        "tempfile.TemporaryFile = lambda **_: open('/dev/full', 'wb')\nsys.exit(main(sys.argv[1:]))"
    )
    words = [
        "convert",
        "--sort",
        "--memory",
        "100K",
        "--tmp-dir",
        tmp_path,
        tmp_path / "x.bam",
        tmp_path / "d",
    ]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)
    line = fails(done)
    assert "No space left on device" in line
    assert str(tmp_path / "x.bam") in line
    assert "--tmp-dir" in line
    assert not [path for path in (tmp_path / "d").rglob("*") if path.is_file()]


def files_of(process: int) -> list[str]:
    """The files that a process has open; some of them are closed while one looks."""
    found = []
    for each in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(each))
    return found


def test_a_killed_run_leaves_no_temporary_file(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    command = [
        sys.executable,
        "-m",
        "bams3",
        "convert",
        "--sort",
        "--memory",
        "64K",
        "--tmp-dir",
        str(folder),
    ]
    child = subprocess.Popen([*command, "-", str(tmp_path / "d")], stdin=subprocess.PIPE)
    assert child.stdin
    made = [hostile.good(0, pos, name=b"%d" % pos) for pos in range(90_000, 0, -3)]
    child.stdin.write(hostile.bam(hostile.TEXT, hostile.CONTIGS, made)[:-28])
    child.stdin.flush()
    until(
        lambda: any(path.startswith(str(folder)) for path in files_of(child.pid)),
        lambda: child.poll() is None,
    )
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "d" / "_metadata.json").exists()


def test_the_page(tmp_path: Path, commands: dict[str, str]) -> None:
    need("bwa")
    chance = random.Random(1)
    genome = "".join(chance.choices("ACGT", k=20_000))
    (tmp_path / "ref.fa").write_text(f">c1\n{genome}\n")
    mates: tuple[list[str], list[str]] = ([], [])
    for number in range(300):
        start = chance.randrange(19_600)
        ends = (
            genome[start : start + 100],
            genome[start + 300 : start + 400][::-1].translate(str.maketrans("ACGT", "TGCA")),
        )
        for lines, end in zip(mates, ends, strict=True):
            lines.append(f"@r{number}\n{end}\n+\n{'I' * 100}\n")
    for name, lines in zip(("r1.fq", "r2.fq"), mates, strict=True):
        (tmp_path / name).write_text("".join(lines))
    blocks = re.findall(
        r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```$)?", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 8
    for code, printed in blocks:
        assert run_block(code, tmp_path, commands) == printed
