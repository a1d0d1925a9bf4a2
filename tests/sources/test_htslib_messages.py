"""What htslib says of its input: errors where it would go on with other data, one line for each, and no more."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bams3.errors import SourceError
from bams3.sources.messages import LOSSY, Messages
from servers.awaited import until
from small_inputs import HEAD, SAM, Samtools, records_of, run

import bams3


def line(**fields: str) -> bytes:
    usual = {"name": "r1", "flag": "0", "rname": "c", "pos": "5", "mapq": "60", "cigar": "4M", "rnext": "*",
             "pnext": "0", "tlen": "0", "seq": "ACGT", "qual": "IIII"}  # fmt: skip
    return "\t".join((usual | fields).values()).encode() + b"\n"


REFUSED = {
    'unrecognized reference name "chr1"': line(rname="chr1"),
    'unrecognized mate reference name "chr1"': line(rnext="chr1", pnext="7"),
    "mapped query cannot have zero coordinate": line(pos="0"),
    "mapped mate cannot have zero coordinate": line(rnext="=", pnext="0"),
    "mapped query must have a CIGAR": line(cigar="*"),
}


@pytest.mark.parametrize("sort", [False, True])
@pytest.mark.parametrize("message", REFUSED)
def test_records_that_htslib_would_change_are_refused(tmp_path: Path, message: str, sort: bool) -> None:
    path = tmp_path / "x.sam"
    path.write_bytes(HEAD + line(name="r0") + REFUSED[message] + line(name="r2"))
    with pytest.raises(SourceError) as caught:
        bams3.convert(path, tmp_path / "d", sort=sort)
    assert f"{path}: record r1: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "d/_metadata.json").exists()


SHOWN = {
    'Duplicate entry "a" in sam header': b"@RG\tID:a\tSM:1\n@RG\tID:a\tSM:2\n" + line(),
    "empty query name": line(name=""),
}


@pytest.mark.parametrize("message", SHOWN)
def test_other_warnings_are_shown(tmp_path: Path, message: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.sam"
    path.write_bytes(HEAD + SHOWN[message])
    bams3.convert(path, tmp_path / "d")
    assert f"{path}: {message}" in caplog.messages
    assert records_of(tmp_path / "d") == 1


WARNINGS = {
    **{f"[W::some_function] {part} 17": "refused" for part in LOSSY},
    "[W::hts_close] EOF marker is absent. The input is probably truncated": "refused",
    "[W::bam_hdr_read] EOF marker is absent. The input is probably truncated": "refused",
    "[W::sam_hdr_sanitise] Missing trailing newline on SAM header. Possibly truncated": "shown",
    "[W::sam_hdr_link_pg] PG line with ID:a has a PP link to missing program 'b'": "shown",
    "[W::sanitise_SQ_lines] Header @SQ length mismatch for ref c, 10 vs 20": "shown",
    "[W::refs2id] Unable to find ref name 'c'": "shown",
    "[W::bam_tag2cigar] r encodes a CIGAR with 1 operators at the CG tag": "shown",
    "something that is none of htslib's": "shown",
    "[E::cram_decode_slice_xref] Mate line out of bounds: 9 vs [0, 8]": "error",
    "[M::bam2fq_mainloop] processed 8 reads": "nothing",
}


@pytest.mark.parametrize("said", WARNINGS)
def test_what_becomes_of_messages(said: str) -> None:
    """In whatever portions they come; what is said twice is shown once, and no more than a few are kept."""
    messages = Messages()
    text = said.encode() + b"\n"
    lost = [messages.take(portion) for portion in (text[:9], text[9:] + text[:-1])] + [
        messages.take(b"", last=True)
    ]
    found = {
        "refused": any(lost), "error": messages.error() is not None, "shown": len(messages.warnings()) == 1,
    }  # fmt: skip
    expected = WARNINGS[said]
    assert [what for what in ("refused", "error", "shown") if found[what]][:1] == (
        [expected] if expected != "nothing" else []
    )
    for number in range(100):
        messages.take(b"[W::f] number %d\n" % number)
    assert len(messages.warnings()) < 12
    assert "more messages" in messages.warnings()[-1]


def test_verifying_against_what_differs_says_so_and_no_more(samtools: Samtools, tmp_path: Path) -> None:
    out = tmp_path / "d"
    (tmp_path / "x.sam").write_bytes(SAM)
    bams3.convert(tmp_path / "x.sam", out)
    changed = SAM.replace(b"\nr5\t", b"\nzz\t")
    (tmp_path / "y.sam").write_bytes(changed)
    samtools("view", "-O", "cram,no_ref=1", "--no-PG", "-o", tmp_path / "y.cram", tmp_path / "y.sam")
    for against in ("y.sam", "y.cram", "-"):
        done = run("verify", "--against", tmp_path / against if against != "-" else "-", out, stdin=changed)
        last = done.stderr.splitlines()[-1]
        assert done.returncode == 1
        assert last.endswith("record 6 (zz) differs from the dataset's (r5)")
        assert against in last
        assert "Traceback" not in done.stderr
        assert "ignored" not in done.stderr
        assert "BAM" not in done.stderr


def test_a_cram_without_its_fasta_names_the_option(samtools: Samtools, tmp_path: Path) -> None:
    fasta, path = tmp_path / "r.fa", tmp_path / "x.cram"
    fasta.write_bytes(b">c\n" + b"ACGT" * 250 + b"\n")
    (tmp_path / "x.sam").write_bytes(SAM)
    samtools("view", "-C", "--no-PG", "-T", fasta, "-o", path, tmp_path / "x.sam")
    bams3.convert(path, tmp_path / "d", reference=str(fasta))
    fasta.unlink()
    for arguments in (["convert", path, tmp_path / "e"], ["verify", "--against", path, tmp_path / "d"]):
        done = run(*arguments)
        assert done.returncode == 1
        assert "(-T)" in done.stderr
        assert "x.cram" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [["--sort"], []])
def test_an_interrupt_is_one_line(tmp_path: Path, options: list[str]) -> None:
    """While a thread waits for standard input, which goes on."""
    command = [sys.executable, "-m", "bams3", "convert", *options, "-", str(tmp_path / "d")]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )  # fmt: skip
    assert child.stdin
    assert child.stderr
    child.stdin.write(HEAD + 5000 * line())
    child.stdin.flush()
    begun = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    until(begun.read_text, lambda: child.poll() is None)  # samtools
    os.killpg(child.pid, signal.SIGINT)
    said = child.stderr.read().decode()
    child.stdin.close()
    assert child.wait(300) == 130
    assert said == "bams3 convert: interrupted\n"
