"""The commands against the peers, on real BAMs and on made ones: the same output, byte for byte."""

import gzip
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hostile
import pysam
import pytest
from bams3.cli import main
from peers import need

from bams3 import convert

Samtools = Callable[..., bytes]

BATCHES = 3
FILTERS = (
    ["-f", "2"],
    ["-F", "1284"],
    ["-q", "30"],
    ["-f", "16", "-F", "4", "-q", "1"],
    ["-f", "PAIRED,REVERSE", "-F", "DUP"],
    ["-F", "0xf00"],
    ["-r", "NA12878"],
)
EXPRESSIONS = (
    "mapq >= 20 && [NM] < 3",
    "!flag.dup && flag.paired && tlen > 300",
    'cigar =~ "[ID]"',
    "qlen > 90 || rlen > 1000 || sclen > 2",
    "length(seq) > 100 && avg(qual) > 20",
    "pos < 1000000 || endpos > 16050000",
    "mpos > pos && ncigar == 1",
    "flag & 0x90 && mrefid == refid",
)
# mosdepth's options; BED stands for a BED file.
COVERAGE = (
    [],
    ["-n"],
    ["-x"],
    ["-F", "0"],
    ["-F", "1540", "-Q", "10"],
    ["-i", "64"],
    ["-n", "-b", "500"],
    ["-n", "-b", "10000", "-m"],
    ["-n", "-b", "BED", "-T", "1,10,30"],
    ["-n", "-q", "0:1:4:100:"],
    ["-n", "-R", "NA12878"],
)


@pytest.fixture
def bams3(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., bytes]:
    """Runs a command within this process, and returns what it prints."""

    def run(*arguments: object) -> bytes:
        capfdbinary.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        assert (code, err) == (0, b""), err.decode()
        return out

    return run


def references(path: Path) -> list[tuple[str, int]]:
    with pysam.AlignmentFile(str(path), check_sq=False) as file:
        return list(zip(file.references, file.lengths, strict=True))


def regions(path: Path, number: int) -> list[tuple[str, int, int]]:
    """(contig, start, end), 0-based: half of them where reads are, from 1 base to half a million."""
    chance = random.Random(path.name)
    with pysam.AlignmentFile(str(path)) as file:
        reads = [(read.reference_name, read.reference_start) for read in file if read.reference_id >= 0]
    lengths = dict(references(path))
    found = []
    for i in range(number):
        contig, near = chance.choice(reads) if reads and i % 2 else (chance.choice(list(lengths)), None)
        anywhere = chance.randrange(lengths[contig]) if near is None else near + chance.randrange(-200, 200)
        start = min(max(0, anywhere), lengths[contig] - 1)
        size = chance.choice((1, 1, 50, 1000, 200_000, 500_000))
        found.append((contig, start, min(start + size, lengths[contig])))
    return found


def bed_file(path: Path, bam: Path) -> Path:
    path.write_text("".join(f"{contig}\t{start}\t{end}\n" for contig, start, end in regions(bam, 40)))
    return path


def coverage_files(prefix: Path) -> dict[str, bytes]:
    """What a coverage run wrote, inflated, by suffix; the indexes left out."""
    found = {}
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        if path.suffix != ".csi":
            data = path.read_bytes()
            found[path.name.removeprefix(prefix.name)] = (
                gzip.decompress(data) if path.suffix == ".gz" else data
            )
    return found


def mosdepth(bam: Path, prefix: Path, options: list[str]) -> dict[str, bytes]:
    need("mosdepth")
    prefix.parent.mkdir()
    subprocess.run(["mosdepth", *options, str(prefix), str(bam)], check=True, capture_output=True)
    return coverage_files(prefix)


def check_coverage(
    bams3: Callable[..., bytes], bam: Path, dataset: Path, folder: Path, options: list[str]
) -> None:
    """`bams3 coverage`, whole and in batches, writes what mosdepth writes."""
    wanted = mosdepth(bam, folder / "mosdepth/x", options)
    (folder / "ours").mkdir()
    bams3("coverage", dataset, *options, "-o", folder / "ours/x")
    assert coverage_files(folder / "ours/x") == wanted
    parts = [folder / f"part{number}" for number in range(1, BATCHES + 1)]
    for number, part in enumerate(parts, 1):
        bams3("coverage", dataset, *options, "--batch", f"{number}/{BATCHES}", "-o", part)
    bams3("coverage", dataset, *options, "-o", folder / "ours/gathered", "--gather", *reversed(parts))
    assert coverage_files(folder / "ours/gathered") == wanted


# Real BAMs


def test_view(bams3, samtools: Samtools, real_bam: Path, real_dataset: Path) -> None:
    assert bams3("query", real_dataset, "-h") == samtools("view", "-h", "--no-PG", real_bam)
    header = samtools("view", "-H", "--no-PG", real_bam)
    assert bams3("query", real_dataset, "-H") == header


def test_flagstat_and_idxstats(bams3, samtools: Samtools, real_bam: Path, real_dataset: Path) -> None:
    assert bams3("stats", "--flagstat", real_dataset) == samtools("flagstat", real_bam)
    assert bams3("stats", "--idxstats", real_dataset) == samtools("idxstats", real_bam)


def test_samtools_stats(bams3, samtools: Samtools, real_bam: Path, real_dataset: Path) -> None:
    """Line by line, of those that need no sequences and qualities; samtools 1.16 has no section MAPQ."""
    ours = bams3("stats", "--samtools-stats", real_dataset).split(b"# ", 1)[1].splitlines()[1:]
    ours = [line.split(b"\t#")[0] for line in ours]
    names = {line.split(b"\t")[1] for line in ours if line.startswith(b"SN")}
    assert len(names) == 23
    wanted = [line.split(b"\t#")[0] for line in samtools("stats", real_bam).splitlines()]
    wanted = [
        line for line in wanted if line[:2] == b"IS" or (line[:2] == b"SN" and line.split(b"\t")[1] in names)
    ]
    reads = [line.split(b"\t", 10) for line in samtools("view", "-F", 3844, real_bam).splitlines()]
    qualities = Counter(int(read[4]) for read in reads if read[9] != b"*")
    assert ours == [*wanted, *(b"MAPQ\t%d\t%d" % pair for pair in sorted(qualities.items()))]


def test_filters(bams3, samtools: Samtools, real_bam: Path, real_dataset: Path) -> None:
    for options in FILTERS:
        assert bams3("query", real_dataset, *options) == samtools("view", *options, real_bam), options


def test_expressions(bams3, samtools: Samtools, real_bam: Path, real_dataset: Path) -> None:
    for expression in EXPRESSIONS:
        ours = bams3("query", "-c", real_dataset, "-e", expression)
        assert ours == samtools("view", "-c", "-e", expression, real_bam), expression


def test_counts_of_random_regions(bams3, samtools: Samtools, real_bam: Path, real_dataset: Path) -> None:
    for contig, start, end in regions(real_bam, 30):
        region = f"{{{contig}}}:{start + 1}-{end}"
        ours = bams3("query", "-c", real_dataset, region)
        assert ours == samtools("view", "-c", real_bam, region), region


def test_many_regions_at_once(
    bams3, samtools: Samtools, real_bam: Path, real_dataset: Path, tmp_path: Path
) -> None:
    bed = bed_file(tmp_path / "x.bed", real_bam)
    wanted = samtools("view", "-L", bed, real_bam)
    assert bams3("query", real_dataset, "-L", bed) == wanted
    # With -M samtools knows no braces.
    texts = [
        f"{contig}:{start + 1}-{end}" for contig, start, end in regions(real_bam, 40) if ":" not in contig
    ]
    assert bams3("query", real_dataset, *texts) == samtools("view", "-M", real_bam, *texts)
    batches = [bams3("query", real_dataset, "-L", bed, "--batch", f"{i}/{BATCHES}") for i in (1, 2, 3)]
    assert b"".join(batches) == wanted


def test_to_bam(bams3, real_bam: Path, real_dataset: Path, tmp_path: Path) -> None:
    bams3("to-bam", real_dataset, tmp_path / "x.bam", "--level", "1")
    assert gzip.decompress((tmp_path / "x.bam").read_bytes()) == gzip.decompress(real_bam.read_bytes())


def test_samtools_depth(bams3, samtools: Samtools, near_bam: Path, tmp_path: Path) -> None:
    """Depth in fast mode is that of `samtools depth` with deletions counted; no read here skips."""
    assert not any(b"N" in line.split(b"\t")[5] for line in samtools("view", near_bam).splitlines())
    bams3("coverage", near_bam.with_suffix(".bams3"), "-x", "-o", tmp_path / "x")
    ours = []
    with gzip.open(tmp_path / "x.per-base.bed.gz", "rt") as file:
        for contig, start, end, depth in (line.split() for line in file):
            ours += [f"{contig}\t{position + 1}\t{depth}" for position in range(int(start), int(end))]
    theirs = samtools("depth", "-aa", "-J", "-G", "0x704", near_bam).decode().splitlines()
    assert ours == theirs


def test_mosdepth_whole_genome(bams3, real_bam: Path, real_dataset: Path, tmp_path: Path) -> None:
    wanted = mosdepth(real_bam, tmp_path / "mosdepth/x", ["-n"])
    bams3("coverage", real_dataset, "-n", "-o", tmp_path / "x")
    assert coverage_files(tmp_path / "x") == wanted


@pytest.fixture(scope="session")
def near_bam(real_bam: Path) -> Path:
    """The reads of `real_bam` on contigs that end soon after them, moved back by whole chunks: depth of all of a genome
    takes its time. Its dataset is beside it."""
    first, last = {}, {}
    with pysam.AlignmentFile(str(real_bam)) as file:
        header, reads = file.header.to_dict(), [read for read in file if read.reference_id >= 0]
    for read in reads:
        first.setdefault(read.reference_id, read.reference_start >> 20 << 20)
        last[read.reference_id] = max(last.get(read.reference_id, 0), read.reference_end or 0)
    for number, contig in enumerate(header["SQ"]):
        contig["LN"] = last.get(number, 1000) - first.get(number, 0) + 500
    path = real_bam.with_suffix(".near.bam")
    with pysam.AlignmentFile(str(path), "wb", header=header) as out:
        for read in reads:
            read.reference_start -= first[read.reference_id]
            if read.next_reference_id >= 0:
                read.next_reference_start = max(
                    0, read.next_reference_start - first.get(read.next_reference_id, 0)
                )
            out.write(read)
    pysam.index(str(path))
    convert(path, path.with_suffix(".bams3"), chunk_size="256K")
    return path


@pytest.mark.parametrize("options", COVERAGE, ids=lambda options: " ".join(options) or "default")
def test_mosdepth(bams3, near_bam: Path, tmp_path: Path, options: list[str]) -> None:
    bed = bed_file(tmp_path / "x.bed", near_bam)
    chosen = [str(bed) if option == "BED" else option for option in options]
    check_coverage(bams3, near_bam, near_bam.with_suffix(".bams3"), tmp_path, chosen)


def test_mosdepth_one_contig(bams3, near_bam: Path, tmp_path: Path) -> None:
    contig = regions(near_bam, 2)[1][0]
    wanted = mosdepth(near_bam, tmp_path / "mosdepth/x", ["-c", contig])
    bams3("coverage", near_bam.with_suffix(".bams3"), "-c", contig, "-o", tmp_path / "x")
    assert coverage_files(tmp_path / "x") == wanted


# Made BAMs: what the real ones lack

CONTIGS = [("chr1", 1_500_000), ("HLA-A*01:01", 3503), ("chr2", 300_000)]
BORDERS = (1 << 17, 1 << 18, 1 << 20)


def mates(
    chance: random.Random, name: bytes, pos: int, next_pos: int, cigar: list, *, flag: int = 3
) -> Iterator[bytes]:
    """Two records of a proper pair on chr1; the second is one run of 100 matches."""
    mapq = chance.choice((0, 20, 60))
    yield hostile.record(
        ref=0, pos=pos, name=name, flag=flag | 96, mapq=mapq, cigar=cigar, next_ref=0, next_pos=next_pos, tlen=300
    )  # fmt: skip
    yield hostile.record(
        ref=0, pos=next_pos, name=name, flag=flag | 144, mapq=mapq, cigar=[(100, 0)], next_ref=0, next_pos=pos,
        tlen=-300,
    )  # fmt: skip


def pairs_at_borders(chance: random.Random) -> list[bytes]:
    """Overlapping mates on both sides of row groups' and chunks' borders, with secondary and supplementary
    records of the same name among them."""
    records = []
    for number in range(600):
        name, border = b"b%d" % number, chance.choice(BORDERS)
        pos = border - chance.randrange(160)
        records += mates(chance, name, pos, pos + chance.randrange(140), [(100, 0)])
        for _ in range(chance.randrange(3)):
            pos = border + chance.randrange(-400, 400)
            records += mates(chance, name, pos, pos + chance.randrange(300), [(100, 0)], flag=0x103)
        if number % 5 == 0:
            fields = {"ref": 0, "name": name, "next_ref": 0, "next_pos": border}
            records.append(
                hostile.record(pos=border + chance.randrange(-99, 99), flag=0x843, cigar=[(9, 0)], **fields)
            )
    return records


def spliced_pairs(chance: random.Random) -> list[bytes]:
    """Mates of RNA: skips of up to several row groups, the mate within, at or after a skip; secondary records too."""
    records = []
    for number in range(1200):
        name, skip = b"s%d" % number, chance.choice((80, 1000, 90_000, 300_000))
        cigar = [(50, 0), (skip, 3), (50, 0)]
        pos = chance.randrange(1_000_000)
        away = chance.choice((0, 10, 40, 60, skip // 2, skip + 20, skip + 60))
        records += mates(chance, name, pos, pos + away, cigar)
        if number % 3 == 0:
            moved = max(0, pos + chance.choice((5, 300, 20_000, 150_000, -300)))
            records += mates(chance, name, moved, moved + away, cigar, flag=0x103)
    return records


def deep_amplicon(chance: random.Random) -> list[bytes]:
    """More records in a window than a row group takes, so that mates are on both sides of cuts within it."""
    records = []
    for number in range(35_000):
        pos = 130_000 + chance.randrange(300)
        duplicate = 0x400 if number % 3 == 0 else 0
        cigar = chance.choice(([(150, 0)], [(20, 0), (5, 2), (130, 0)]))
        records += mates(chance, b"a%d" % number, pos, pos + chance.randrange(149), cigar, flag=3 | duplicate)
    return records


@pytest.fixture(scope="module", params=[pairs_at_borders, spliced_pairs, deep_amplicon])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An indexed BAM; its dataset, of small chunks, is beside it."""
    records = sorted(request.param(random.Random(1)), key=hostile.coordinate)
    path = tmp_path_factory.mktemp("made") / "made.bam"
    path.write_bytes(hostile.bam(hostile.TEXT, CONTIGS, records))
    pysam.index(str(path))
    convert(path, path.with_suffix(".bams3"), chunk_size="256K")
    return path


# With secondary reads a template has more than two that count, and some are corrected against others far away.
@pytest.mark.parametrize(
    "options",
    [["-n"], ["-Q", "10"], ["-n", "-i", "64"], ["-n", "-F", "0"], ["-n", "-F", "1540", "-Q", "10"]],
    ids=" ".join,
)
def test_mosdepth_made(bams3, made: Path, tmp_path: Path, options: list[str]) -> None:
    check_coverage(bams3, made, made.with_suffix(".bams3"), tmp_path, options)


def test_regions_made(bams3, samtools: Samtools, made: Path) -> None:
    """Reads that reach into a region from windows before, however far."""
    for contig, start, end in regions(made, 20):
        region = f"{{{contig}}}:{start + 1}-{end}"
        ours = bams3("query", "-c", made.with_suffix(".bams3"), region)
        assert ours == samtools("view", "-c", made, region), region


def test_many_contigs(bams3, samtools: Samtools, tmp_path: Path) -> None:
    """Time and memory grow with the contigs, not with their square."""
    contigs = [(f"scaffold_{i}", 200 + i % 50) for i in range(4_000)]
    records = [hostile.good(i, 5) for i in range(0, 4_000, 50)]
    path, dataset = tmp_path / "x.bam", tmp_path / "x.bams3"
    path.write_bytes(hostile.bam(b"", contigs, records))
    pysam.index(str(path))
    convert(path, dataset)
    assert bams3("stats", "--idxstats", dataset) == samtools("idxstats", path)
    assert bams3("chunks", dataset).count(b"\n") == len(records)
    assert bams3("query", "-c", dataset, "scaffold_50:6-9", "scaffold_51") == b"1\n"
    check_coverage(bams3, path, dataset, tmp_path, ["-n"])


def test_names_that_do_not_fit(bams3, samtools: Samtools, tmp_path: Path) -> None:
    """Contigs whose names are no text, or too long for a file's name."""
    contigs = [("NAME", 1000), ("a|" * 120, 1000), ("a|" * 120 + "b", 1000), ("zero", 0), ("*x", 50)]
    records = [hostile.good(i, pos) for i in (0, 1, 2) for pos in (5, 9)]
    data = hostile.bam_header(b"", contigs).replace(b"NAME", b"\xff\xfe\xfd\xfc") + b"".join(records)
    path, dataset = tmp_path / "x.bam", tmp_path / "x.bams3"
    path.write_bytes(hostile.bgzf(data))
    pysam.index(str(path))
    convert(path, dataset)
    assert bams3("query", dataset) == samtools("view", path)
    assert bams3("stats", "--idxstats", dataset) == samtools("idxstats", path)
    assert bams3("chunks", dataset).count(b"\n") == 3
    assert bams3("query", "-c", dataset, "{" + "a|" * 120 + "}:6") == b"2\n"
    assert bams3("to-bam", dataset, tmp_path / "y.bam") == b""
    assert gzip.decompress((tmp_path / "y.bam").read_bytes()) == data


def test_refused_input_is_not_in_the_way(bams3, tmp_path: Path) -> None:
    """What the error suggests, --sort, works on the same dataset."""
    path = tmp_path / "x.bam"
    records = [hostile.good(0, pos) for pos in (7, 90_000, 5)]
    path.write_bytes(hostile.bam(hostile.TEXT, hostile.CONTIGS, records))
    assert main(["convert", str(path), str(tmp_path / "d.bams3")]) == 1
    assert bams3("convert", "--sort", path, tmp_path / "d.bams3") == b""
    assert bams3("query", "-c", tmp_path / "d.bams3") == b"3\n"
