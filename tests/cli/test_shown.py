"""What others wrote is shown without control of the terminal and without secrets: messages, tables, logs, files."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pysam
import pytest
from bams3.cli import main
from bams3.errors import Bams3Error
from bams3.shown import escaped, is_plain, shown, without_secrets
from bams3.storage.faults import RequestError
from hypothesis import given
from hypothesis import strategies as st

import bams3

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""All but a line's end."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1: é 中 it's \\n", "chr1: é 中 it's \\n"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\nb\r\tc\0", "a\\nb\\r\\tc\\x00"),
        ("\x7f\x9b\u2028\u202e\u2066", "\\x7f\\x9b\\u2028\\u202e\\u2066"),
        ("\udc9b\udcff\ud800", "\\x9b\\xff\\ud800"),
    ],
)
def test_what_is_escaped(text: str, expected: str) -> None:
    assert escaped(text) == shown(text) == expected
    assert str(Bams3Error(text)) == expected


@given(st.text())
def test_nothing_hidden_is_left(text: str) -> None:
    assert not CONTROL.search(shown(text) + escaped(text))
    assert "\n" not in escaped(text)
    assert escaped(escaped(text)) == escaped(text)
    assert shown(shown(text)) == shown(text)
    assert is_plain(text) == (escaped(text) == text)


SECRET = "s3cr3t"
URLS = [
    (f"https://me:{SECRET}@host:80/x.bam", "https://host:80/x.bam"),
    (f"https://{SECRET}@host/x.bam", "https://host/x.bam"),
    (f"https://host/x.bam?X-Amz-Signature={SECRET}&b=1", "https://host/x.bam"),
    (f"https://host/x.bam?{SECRET}", "https://host/x.bam"),
    (f"https://host/a b.bam?sig={SECRET}", "https://host/a b.bam"),
    (f"az://box/x.bam?sv=1&sig={SECRET}", "az://box/x.bam"),
    (f"s3://KEY:{SECRET}@bucket/x.bam", "s3://bucket/x.bam"),
    (f"s3://KEY:a/{SECRET}+=@bucket/x.bam", "s3://bucket/x.bam"),
    (f"s3://KEY:1/{SECRET}@bucket/x.bam", "s3://bucket/x.bam"),
    (f"ftp://me:{SECRET}@host/x", "ftp://host/x"),
    (f"HTTPS+x://me:{SECRET}@[::1]:80/x?{SECRET}", "HTTPS+x://[::1]:80/x"),
]


@pytest.mark.parametrize(
    "around", ["{}", "{}: no such file", "can't read '{}'", "({}), then {}.", 'url="{}";\n']
)
@pytest.mark.parametrize(("url", "plain"), URLS)
def test_secrets_are_left_out(url: str, plain: str, around: str) -> None:
    assert without_secrets(around.replace("{}", url)) == around.replace("{}", plain)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"X-Amz-Signature={SECRET}&x=1", "X-Amz-Signature=…&x=1"),
        (f"/b/x?X-Amz-Security-Token={SECRET} has expired", "/b/x?X-Amz-Security-Token=… has expired"),
        (f"AWS_SECRET_ACCESS_KEY={SECRET}", "AWS_SECRET_ACCESS_KEY=…"),
    ],
)
def test_secrets_by_name(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a@b/x.bam", "https://host:80/a@b", "chr1:1-5", "user@host:/x", "a://b", "tool --token=$TOKEN",
        "did you mean 'chr1'?", "[NM] < 3 ? a", "s3://bucket/x.bam: no such object; did you mean it?",
    ],
)  # fmt: skip
def test_what_is_no_secret(text: str) -> None:
    assert without_secrets(text) == text


def test_a_stores_own_message() -> None:
    said = f"<Error><Code>X</Code><Message>https://h/x?sig={SECRET}\x1b[2J failed\x1b[2J</Message></Error>"
    fault = RequestError.of(ValueError(f"non-2xx status code: 418 X: {said}"))
    for text in (str(fault), fault.said, str(fault.error("s3://b/x"))):
        assert SECRET not in text
        assert not CONTROL.search(text)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": "chr1", "LN": 500}]}
    with pysam.AlignmentFile(folder / "x.bam", "wb", header=header) as file:
        file.write(pysam.AlignedSegment.fromstring("r\t0\tchr1\t9\t9\t4M\t*\t0\t0\tACGT\tIIII", file.header))
    bams3.convert(folder / "x.bam", folder / "x.bams3")
    return folder / "x.bams3"


COMMANDS: list[tuple[str, list[str]]] = [
    ("dataset", ["query", "-c", "{url}"]),
    ("regions", ["query", "-c", "{dataset}", "-L", "{url}"]),
    ("reference", ["query", "-O", "cram", "-o", "out.cram", "-T", "{url}", "{dataset}"]),
    ("output", ["query", "-o", "{url}", "{dataset}"]),
    ("region", ["query", "-c", "{dataset}", "{url}"]),
    ("filter", ["query", "-c", "-e", "{url}", "{dataset}"]),
    ("bed of count", ["count", "--regions", "{url}", "{dataset}"]),
    ("datasets", ["count", "--regions", "x.bed", "{dataset}", "--datasets", "{url}"]),
    ("listed", ["count", "--regions", "x.bed", "--datasets", "list"]),
    ("windows of coverage", ["coverage", "-o", "out", "--by", "{url}", "{dataset}"]),
    ("gathered", ["coverage", "-o", "out", "{dataset}", "--gather", "{url}"]),
    ("source", ["convert", "{url}", "out.bams3"]),
    ("index", ["convert", "--index", "{url}", "x.bam", "out.bams3"]),
    ("made", ["convert", "x.bam", "{url}"]),
    ("merge", ["merge", "{url}"]),
    ("verify", ["verify", "--against", "{url}", "{dataset}"]),
    ("receipt", ["verify", "--receipt", "{url}", "--against", "x.bam", "{dataset}"]),
    ("receipt of", ["verify", "--receipt", "r.json", "--against", "{url}", "{dataset}"]),
    ("checksum", ["checksum", "{url}"]),
    ("tags", ["checksum", "-t", "{url}", "{dataset}"]),
    ("sums", ["checksum", "-o", "{url}", "{dataset}"]),
    ("sanitize", ["checksum", "-z", "{url}", "{dataset}"]),
    ("chunk", ["inspect", "{url}"]),
    ("export", ["export", "--parquet", "{url}", "{dataset}"]),
    ("mounted", ["mount", "{url}", "mnt"]),
    ("served", ["serve", "{url}"]),
    ("cost", ["cost", "{url}", "query"]),
    ("progress", ["progress", "{url}"]),
    ("choice", ["cost", "{dataset}", "{url}"]),
    ("too many", ["merge", "{dataset}", "{url}"]),
    ("number", ["query", "--batch", "{url}", "{dataset}"]),
    ("no command", ["{url}"]),
    ("of a user", ["map", "--input-fmt", "none", "--joblog", "log", "{dataset}", "--", "false", "{url}"]),
    (
        "of a user's shell",
        ["map", "--input-fmt", "none", "--joblog", "log", "{dataset}", "--", "false '{url}'"],
    ),
    ("program", ["to-bam", "--pg", "{dataset}", "out.bam", "{url}"]),
]
REFUSED = [
    f"az://box/x.bam?sv=1&sig={SECRET}", f"s3://KEY:{SECRET}@bucket/x.bam", f"s3://KEY:a/{SECRET}@bucket/x",
    f"ftp://me:{SECRET}@host/x\x1b[2J\n?a={SECRET}", f"http://me:{SECRET}@127.0.0.1:9/x?sig={SECRET}",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED, ids=["az", "s3", "s3 slash", "ftp", "http"])
@pytest.mark.parametrize("words", [words for _, words in COMMANDS], ids=[name for name, _ in COMMANDS])
def test_no_command_tells_a_secret(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    words: list[str], url: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for variable, value in (
        ("AWS_MAX_ATTEMPTS", "1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ):
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    (tmp_path / "x.bam").symlink_to(dataset.with_suffix(".bam"))
    (tmp_path / "x.bed").write_text("chr1\t0\t5\n")
    (tmp_path / "list").write_text(url.replace("\n", ""))
    main([word.replace("{url}", url).replace("{dataset}", str(dataset)) for word in words])
    printed = "".join(capfd.readouterr())
    assert SECRET not in printed
    assert not CONTROL.search(printed)
    assert "Traceback" not in printed
    for path in tmp_path.iterdir():
        if path.name not in ("list", "x.bam") and path.is_file():
            assert SECRET.encode() not in path.read_bytes()


def test_no_child_is_told_a_secret(
    dataset: Path, web_server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user of a machine sees the words of its processes: URLs go to none that we start."""
    url, root = web_server
    bam = str(dataset.with_suffix(".bam"))
    pysam.view("-h", "--no-PG", "-o", str(root / "signed.sam"), bam, catch_stdout=False)
    pysam.view(
        "-C", "--output-fmt-option", "no_ref=1", "-o", str(root / "signed.cram"), bam, catch_stdout=False
    )
    started: list[str] = []

    class Recorded(subprocess.Popen):
        def __init__(self, words: list[str], **options: Any) -> None:
            started.append(" ".join(words))
            super().__init__(words, **options)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    for ending, options in (("sam", []), ("cram", []), ("sam", ["--sort"]), ("cram", ["--sort"])):
        signed = f"{url}/signed.{ending}?X-Amz-Signature={SECRET}"
        assert main(["convert", *options, "--overwrite", signed, str(tmp_path / "made.bams3")]) == 0
        main(["verify", "--against", signed, str(dataset)])
    assert len(started) == 8
    assert not [words for words in started if SECRET in words]


HOSTILE = "\x1b[2J\x1b]0;OWNED\x07\u202e"


def forged(dataset: Path, folder: Path, name: str) -> Path:
    """The dataset with another name of its contig, in all that has it but the chunk, and right checksums."""
    import shutil

    from bams3.dataset.manifest import sealed

    copy = Path(shutil.copytree(dataset, folder / "forged.bams3"))
    document = json.loads((copy / "_metadata.json").read_text())
    del document["crc32"]
    document["references"][0][0] = name
    (copy / "_metadata.json").write_bytes(sealed(document))
    return copy


@pytest.mark.parametrize(
    "name", [f"chr{HOSTILE}", "chr1\nbams3 verify: no problems found", "chr1\tx", "chr1\0"]
)
@pytest.mark.parametrize(
    "words",
    [
        ["stats"], ["stats", "--idxstats"], ["chunks"], ["chunks", "--format", "region"], ["verify"],
        ["query", "-c", "{}", "chr9"], ["count", "--regions", "x.bed"], ["stats", "--json"],
        ["map", "{}", "--joblog", "log", "--", "false"], ["coverage", "-o", "out", "-c", "chr9"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_names_of_contigs(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    words: list[str], name: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.bed").write_text(f"{name.splitlines()[0]}\t0\t5\tn{HOSTILE}\n")
    uri = str(forged(dataset, tmp_path, name))
    main([uri if word == "{}" else word for word in words] + ([] if "{}" in words else [uri]))
    printed = "".join(capfd.readouterr())
    assert not CONTROL.search(printed.replace("\t", ""))
    assert not any(line.startswith("bams3 verify: no problems found") for line in printed.split("\n"))
    if (log := tmp_path / "log").exists():
        assert [line.count("\t") for line in log.read_text().split("\n")[:-1]] == [8, 8]
        assert not CONTROL.search(log.read_text().replace("\t", ""))


def test_other_places(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A version, a path, a read's name, a run's progress, a read group, an index that is old."""
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / f"a{HOSTILE}\n"
    odd.mkdir()
    (odd / "_metadata.json").write_text(json.dumps({"format": "bams3", "version": HOSTILE}))
    state = {
        "jobs": 1,
        "done": 0,
        "updated": 1,
        "started": 0,
        "running": HOSTILE,
        "seconds_left": None,
        "ended": 1,
    }
    rules = {HOSTILE: {"jobs": HOSTILE, "done": 0, "running": 0, "seconds": 0}}
    failed = [{"rule": HOSTILE, "wildcards": {"x": HOSTILE + "\n"}, "logs": [HOSTILE + "\t"]}]
    (odd / "progress.json").write_text(json.dumps(state | {"ended": False, "rules": rules, "failed": failed}))
    head = "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:500\n"
    record = "\t0\tchr1\t{}\t60\t5M\t*\t0\t0\tACGTA\tIIIII\tRG:Z:g{}\n"
    (tmp_path / "u.sam").write_text(head + "a" + record.format(9, "") + f"x{HOSTILE}" + record.format(5, ""))
    (tmp_path / "g.sam").write_text(head + "a" + record.format(9, HOSTILE))
    bams3.convert("g.sam", "g.bams3")
    (chunk,) = bams3.open("g.bams3").chunks
    for words in (["stats", odd], ["stats", odd / "x"], ["progress", odd], ["convert", "u.sam", "u.bams3"],
                  ["convert", odd / "x.bam", "y.bams3"], ["inspect", chunk.path], ["inspect", "--json", chunk.path],
                  [HOSTILE], ["query", f"--{HOSTILE}", odd], ["count", "--regions", odd, odd]):  # fmt: skip
        main(list(map(str, words)))
        printed = "".join(capfd.readouterr())
        assert printed
        assert not CONTROL.search(printed.replace("\t", "")), words
    assert not CONTROL.search(caplog.text)


def test_the_list_of_chunks_is_refused_where_a_line_can_not_hold_it(
    dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "a\nb.bams3"
    odd.symlink_to(dataset)
    for form in ("uri", "tsv"):
        assert main(["chunks", "--format", form, str(odd)]) == 1
        out, error = capfd.readouterr()
        assert (out, error.count("\n")) == ("", 1)
        assert "--format json" in error
    assert main(["chunks", "--format", "json", str(odd)]) == 0
    assert json.loads(capfd.readouterr().out)[0]["uri"].startswith(str(odd))
