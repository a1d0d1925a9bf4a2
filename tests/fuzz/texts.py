"""Parsers of text: what users, clients and other programs write, mutated and mixed.

Of each parser, there are texts that it accepts. An input is one of them with some bytes changed, or parts of two.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from bams3.alleles.known import SiteFile
from bams3.bam.header import Header, program_line
from bams3.bam.merged_header import MergedHeader
from bams3.bam.regions import merge_regions, parse_regions, read_bed
from bams3.bridge import htsget, http_ranges
from bams3.bridge.access import Tokens
from bams3.bridge.tickets import Signer
from bams3.chunk.header import HeaderLines, joined
from bams3.codec import ZoneMap
from bams3.coverage.intervals import read_intervals
from bams3.duplicates.options import Markdup
from bams3.errors import Bams3Error
from bams3.identity.counts import Quality, read_counts
from bams3.identity.sites import read_sites
from bams3.operations.joblog import JobLog
from bams3.operations.placeholders import line_for_bash
from bams3.operations.targets import read_targets
from bams3.select.filters import Expression
from bams3.sources.legacy import LegacyDataset, LegacyText, is_legacy
from bams3.sources.sorting import sorted_header
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.sheet import decoded, rows

from fuzz.mutate import mutated
from fuzz.targets import Target, each_of

SHARE = 0.008
_FOLDER = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
"""In memory, if it can be."""
CONTIGS = (("chr1", 1_000_000), ("chr2", 5000), ("HLA-A*01:01:01:01", 3503), ("chr22", 0))
SHORT: Any = SimpleNamespace(uri="x.bams3", is_whole=True, references=(("chr1", 300), ("chr2", 7)))
"""A dataset, whose contigs bound the sites of an interval."""
ZONE = ZoneMap(9, 900, 5, 400_000, 400_100, 0, 60, 0x4FF, 0)
REFUSALS = (Bams3Error, ConfigurationError, htsget.HtsgetError)


class Parser(NamedTuple):
    """Texts that are read, and what reads them."""

    texts: tuple[bytes, ...]
    read: Callable[[bytes], object]


def text_of(data: bytes) -> str:
    """Text as it comes from a command line."""
    return os.fsdecode(data)


def opener(data: bytes) -> Callable[[str], io.BytesIO]:
    """Opens a file that has these bytes, whatever its name."""
    return lambda _: io.BytesIO(data)


def here() -> Path:
    """A folder of this process, whose files are written again for each input: making a folder takes longer than most
    inputs."""
    folder = Path(_FOLDER.name, str(os.getpid()))
    folder.mkdir(exist_ok=True)
    return folder


def on_disk(name: str, data: bytes, read: Callable[[str], object]) -> None:
    """Read a file that has these bytes."""
    path = here() / name
    path.write_bytes(data)
    read(str(path))


def read_regions(data: bytes) -> None:
    regions = parse_regions(text_of(data).split("\n"), CONTIGS)
    for region in regions:
        length = CONTIGS[region.reference_id][1]
        if region.reference_id >= 0 and not -1 <= region.start <= region.end <= max(length, (1 << 31) - 1):
            raise AssertionError(f"{region} is no region")
    merge_regions(regions)


def read_filter(data: bytes) -> None:
    """Parse, judge by a zone map, and evaluate on two records that have every field."""
    expression = Expression(text_of(data))
    expression.may_match(ZONE)
    columns: dict[str, Any] = {name: ["ab", ""] for name in expression.fields}
    for name in ("flag", "mapq", "pos", "mpos", "endpos", "tlen", "ncigar", "qlen", "rlen", "refid", "mrefid",
                 "sclen", "hclen", "[NM]"):  # fmt: skip
        columns[name] = np.array([3, -1])
    columns |= {"[AS]": [None, 2.5], "[XS]": [7, None]}
    with np.errstate(all="ignore"):
        found = expression.evaluate(columns, 2)
    if found.shape != (2,) or found.dtype != bool:
        raise AssertionError(f"{found!r} is no answer for two records")


def read_bed_file(data: bytes) -> None:
    """As samtools and as mosdepth read it, and as targets."""
    each_of(
        (
            lambda: read_bed("x.bed", CONTIGS, opener=opener(data)),
            lambda: read_intervals("x.bed", lambda _: None, opener(data)),
            lambda: read_targets(data, "x.bed"),
        )
    )


def read_site_file(data: bytes) -> None:
    """As each kind of file: the sites of a dataset's contigs, and the common sites of `bams3 relate`."""

    def read(name: str) -> None:
        for sites in SiteFile(name, opener(data)).blocks(3, [SHORT]):
            sites.alleles()

    def read_common(name: str) -> None:
        on_disk(name, data, lambda path: read_sites(path, lambda _: None))

    each_of(partial(kind, f"x.{end}") for kind in (read, read_common) for end in ("vcf", "bed", "tsv"))


def read_counts_file(data: bytes) -> None:
    def read(path: str) -> None:
        vcf = Path(path).with_name("x.vcf")
        vcf.write_bytes(b"#CHROM\nchr1\t5\t.\tA\tC\nchr1\t7\t.\tG\tT\n")
        read_counts(path, read_sites(str(vcf), lambda _: None), Quality())

    on_disk("x.counts", data, read)


def read_merged(data: bytes) -> None:
    """Headers that are merged, cut to the lines of a chunk, and put together again."""
    one, two = (Header.from_text(part) for part in data.partition(b"\f")[::2])
    for combine in (False, True):
        merging = MergedHeader(combine_read_groups=combine, combine_programs=combine, seed=7)
        for header in (one, two, one):
            merging.add(header, b"new" if combine else None)
        merged = merging.header
        if Header.from_bam(merged.to_bam()) != merged:
            raise AssertionError("a merged header does not come back")
    program_line(one, ["bams3", "merge"])
    sorted_header(one)
    lines = HeaderLines(one)
    for size in (0, 1 << 30):
        kept = lines.kept(range(len(one.references)), ["a"], ["q"], size)
        joined([kept, two.text], one.references)


def read_query(data: bytes) -> None:
    """The parameters of an htsget URL, or its body."""
    if data.startswith(b"{"):
        query = htsget.of_body(data)
    else:
        text = data.decode("utf-8", "replace")
        query = htsget.of_url([tuple(pair.partition("=")[::2]) for pair in text.split("&")])  # type: ignore[misc]
    query.regions(CONTIGS)
    json.dumps(query.projection.fields)


def read_http(data: bytes) -> None:
    names = ("range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
    headers = dict(zip(names, data.decode("latin-1").split("\n"), strict=False))
    ranges = http_ranges.ranges_of(headers, 1000, "tag")
    for start, end in ranges or ():
        if not 0 <= start < end <= 1000:
            raise AssertionError(f"{start}-{end} is no range")
    http_ranges.status_of_conditions(headers, "tag", 1e9)
    if Signer().value(data.decode("latin-1")) is not None:
        raise AssertionError("a ticket that nobody signed")
    if ranges is None:
        raise Bams3Error("not a valid header: it is ignored")


def read_tokens(data: bytes) -> None:
    def read(path: str) -> None:
        for grant in Tokens(path).grants().values():
            grant.allows("x")
            grant.places(CONTIGS)

    on_disk("tokens", data, read)


def read_job_log(data: bytes) -> None:
    def read(path: str) -> None:
        with JobLog(path, resume=True) as log:
            log.has("echo 1", None)

    on_disk("joblog", data, read)


def read_sheet(data: bytes) -> None:
    list(rows(decoded(data, "x.tsv"), "x.tsv"))


def read_legacy(data: bytes) -> None:
    """A dataset of an earlier writer: metadata, header and a chunk, with a form feed after each of the first two."""
    folder = here()
    for name, part in zip(
        ("_metadata.json", "_header.json", "data"), (*data.split(b"\f", 2), b"", b""), strict=False
    ):
        (folder / name).write_bytes(part)
    if is_legacy(str(folder)):
        list(LegacyText(LegacyDataset(str(folder))).portions())


def read_names(data: bytes) -> None:
    """Expressions for what names of reads have, as `bams3 markdup` takes them."""
    options = Markdup(coordinates=text_of(data).replace("\0", ""), optical_distance=9, order="xy")
    options.check()
    options.marker([])
    options._replace(coordinates="", barcode_pattern=options.coordinates).keys([])


_DIGEST = "a" * 64
_HEADER = (
    b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:1000\n@SQ\tSN:chr2\tLN:70\tM5:x\n@RG\tID:a\tSM:s\tPG:p\n"
    b"@PG\tID:p\tPN:x\n@PG\tID:q\tPP:p\tCL:a b\n@CO\tnote\n\f@SQ\tSN:chr3\tLN:70\n@RG\tID:a\n@RG\tID:b\n@PG\tID:p"
)
_LEGACY = (
    b'{"format": "bams3", "version": "0.2.0", "statistics": {"total_reads": 1}, "chunks": '
    b'[{"path": "data", "reference": "c", "start": 0, "reads": 1}]}\f{"SQ": [{"SN": "c", "LN": 9}]}\f'
)
_BINARY = bytes.fromhex("334d4142000201000100000000000000270000000100040001000100")
_BINARY += b"r" + struct.pack("<iiBHI", 0, 5, 60, 0, 4 << 4) + b"\x12\x48IIIIMDZ4\0"
PARSERS = {
    "regions": Parser(
        (b"chr1", b"chr1:1,000-2,000", b"chr1:1.5M-2M", b"chr1:100-", b"chr1:-200", b"chr1:9e4", b"{chr2}:1-5", b"*",
         b"HLA-A*01:01:01:01:5-9", b"{HLA-A*01:01:01:01}", b"chr1-2", b".", b"_unplaced", b"chr2\nchr1:4.5k-1e1000"),
        read_regions,
    ),
    "filter": Parser(
        (b"mapq >= 30 && !flag.dup && [NM] < 5", b"qname =~ \"^a[b-d]+\" || [RG] == \"x\"",
         b"min(qual) > 3 || avg(qual) <= 2.5",
         b"length(seq) / 2 == sclen + hclen", b"(flag & 0x4) != 0", b"exists([AS]) && [AS]*2.5e3 % 7 >= -1",
         b"rname !~ \"[[:alpha:]_]*\" && rnext == mrname", b"default([XS], 3) ^ ~1 | 2", b"log(pos) <= sqrt(endpos)",
         b"cigar =~ \"(1|2){2,3}M\"", b"\"\\x41\\\"\" == qname"),
        read_filter,
    ),
    "bed": Parser(
        (b"chr1\t100\t900\tone\nchr1\t200\t300\n", b"track x\nbrowser y\n#c\nchr2 5 9 n\r\n\n",
         b"chr1\t7\n\x1f", b"chr1\t0\t4294967295\tx\t0\t+\t1\t2\t0\t2\t1,2\t0,5\n"),
        read_bed_file,
    ),
    "sites": Parser(
        (b"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
         b"chr1\t5\t.\tA\tC\t.\t.\tAF=0.5\nchr1\t9\trs1\tACG\tA,<*>,*\n", b"chr1\t5\nchr1 6 A C\nchr2\t1\tG\tT,N\n",
         b"chr1\t4\t5\nchr2\t0\t3\tx\n"),
        read_site_file,
    ),
    "counts": Parser(
        (b"#bams3 counts 1\tsites=0d0d1de79df6f38fb89ff034cdf9c0dd\tmin-MQ=1\tmin-BQ=0\n1\t2\t3\n4\t5\t6\n",),
        read_counts_file,
    ),
    "headers": Parser((_HEADER, _HEADER.replace(b"\f", b""), _HEADER.replace(b"\n", b"\r\n"), b"\0"), read_merged),
    "htsget": Parser(
        (b"format=BAM&referenceName=chr1&start=5&end=900&fields=QNAME,POS&tags=NM", b"class=header",
         b"referenceName=*&notags=RG",
         b'{"format": "bam", "regions": [{"referenceName": "chr1", "start": 1, "end": 9}]}',
         b'{"fields": ["SEQ"], "tags": [], "notags": ["MD"], "regions": [{"referenceName": "*"}]}'),
        read_query,
    ),
    "http": Parser(
        (b'bytes=0-9,20-,-5\n"tag"\n"tag"\nW/"tag", "x"', b"bytes=999-\n\n*\n*", b"bytes = 5-1", b"eJwz.aGk"),
        read_http,
    ),
    "tokens": Parser(
        (f"user\tsha256\tdatasets\tregions\nann\t{_DIGEST}\tx* y\tchr1:1-500 chr2\nbo\t{'b' * 64}\t*\t.\n".encode(),
         f"user\tsha256\tdatasets\tregions\nann\t{_DIGEST}\t[a-\t_unplaced\n".encode()),
        read_tokens,
    ),
    "joblog": Parser(
        (b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
         b"1\t:\t1700000000.000\t     0.010\t0\t5\t0\t0\techo 1\n2\t:\t1700000000.000\t     0.010\t0\t5\t0\t0\ttrue",),
        read_job_log,
    ),
    "sheet": Parser(
        (b"sample\talignments\tindex\na\ta.bam\t\n# x\n\"b\"\"c\"\tb.bam\n",
         b"\xef\xbb\xbfsample\tdataset\r\na\tb\t\t\r",
         "sample\talignments\na\tb\n".encode("utf-16")),
        read_sheet,
    ),
    "legacy": Parser(
        (_LEGACY + _BINARY,
         _LEGACY.replace(b"0.2", b"0.1") + b'[{"name": "r", "flag": 0, "ref": "c", "pos": 3, "mapq": 9, "cigar": "4M", '
         b'"seq": "ACGT", "qual": "IIII", "tags": {"NM": 1, "XX": {"value": "a"}}}]'),
        read_legacy,
    ),
    "names": Parser(
        (b"([0-9]+):([0-9]+)$", b"^[!-?A-~]+:([0-9]+)_([0-9]+)", b"(a|b*){2,3}(c)", b"[[:digit:]]+(x)(.)?",
         b"(\\.)(y)"),
        read_names,
    ),
    "line": Parser(
        (b"echo {region} 'x' >> \"$(cat y)\" {output}.txt", b"a{chunk}b \\{x\\} <<E\n{contig}\nE\n",
         b"# {number}\n`{start}`"),
        lambda data: line_for_bash(text_of(data)),
    ),
}  # fmt: skip


def mixed(texts: tuple[bytes, ...], chance: random.Random) -> bytes:
    """One of the texts, or parts of two, with some changes."""
    text = chance.choice(texts)
    if chance.random() < 0.3:
        other = chance.choice(texts)
        text = text[: chance.randint(0, len(text))] + other[chance.randint(0, len(other)) :]
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        text = mutated(text, chance)
    return text


def target_of(parser: Parser) -> Target:
    """For a campaign: inputs are texts."""
    return Target(SHARE, lambda _, chance: mixed(parser.texts, chance), partial(read_text, parser.read))


def read_text(read: Callable[[bytes], object], data: bytes) -> None:
    """Whatever refuses the text does so in one line."""
    try:
        read(data)
    except REFUSALS as error:
        if "\n" in str(error):
            raise AssertionError(f"more than one line: {error}") from None
        raise Bams3Error(str(error)) from None


TARGETS = {name: target_of(parser) for name, parser in PARSERS.items()}
