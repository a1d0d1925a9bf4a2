"""Region strings and BED files, against samtools where it reads the same."""

import gzip
import random
import subprocess
from array import array
from itertools import pairwise

import pysam
import pytest
from bams3.bam.regions import UNPLACED, BedTable, Region, bed_table, merge_regions, parse_regions, read_bed
from bams3.errors import UsageError
from bams3.inflate import FREE, MAX_LINE, PORTION
from peers import need

REFERENCES = [
    ("chr1", 3_000_000),
    ("chr2", 2_000),
    ("chr3", 1_000),
    ("chr10", 500),
    ("HLA-A*01:01", 90),
    ("HLA-A*01:01:01:01", 100),
    ("a/b", 70),
    ("../x", 60),
    ("s08", 10),
    ("s09", 10),
    ("s10", 10),
    ("chr1-3", 40),
    ("x:y", 30),
    ("x", 20),
    ("7", 80),
    ("chr3:5-9", 50),
]
IDS = {name: i for i, (name, _) in enumerate(REFERENCES)}
LENGTHS = dict(REFERENCES)


def whole(*names):
    return [Region(IDS[name], 0, LENGTHS[name]) for name in names]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1", whole("chr1")),
        ("chr1:1,000,000-2,000,000", [Region(0, 999_999, 2_000_000)]),
        ("chr1:1M-2M", [Region(0, 999_999, 2_000_000)]),
        ("chr1:1.5M-2m", [Region(0, 1_499_999, 2_000_000)]),
        ("chr1:.5k-0.75K", [Region(0, 499, 750)]),
        ("chr1:1e3-2e+3", [Region(0, 999, 2_000)]),
        ("chr1:0.001G-", [Region(0, 999_999, 3_000_000)]),
        ("chr1:100-", [Region(0, 99, 3_000_000)]),
        ("chr1:100", [Region(0, 99, 3_000_000)]),
        ("chr1:-200", [Region(0, 0, 200)]),
        ("chr1:7-7", [Region(0, 6, 7)]),
        ("chr2:1500-9G", [Region(1, 1_499, 2_000)]),
        ("chr2:2000-2000", [Region(1, 1_999, 2_000)]),
        ("chr2-3", whole("chr2", "chr3")),
        ("chr1-3", whole("chr1-3")),
        ("chr3-3", whole("chr3")),
        ("s08-10", whole("s08", "s09", "s10")),
        ("7-7", whole("7")),
        ("a/b", whole("a/b")),
        ("../x:5-6", [Region(IDS["../x"], 4, 6)]),
        ("HLA-A*01:01:01:01", whole("HLA-A*01:01:01:01")),
        ("HLA-A*01:01:01:01:3-5", [Region(IDS["HLA-A*01:01:01:01"], 2, 5)]),
        ("{HLA-A*01:01}:1-5", [Region(IDS["HLA-A*01:01"], 0, 5)]),
        ("{HLA-A*01:01:01:01}", whole("HLA-A*01:01:01:01")),
        ("{x:y}:2-3", [Region(IDS["x:y"], 1, 3)]),
        ("x:y", whole("x:y")),  # "y" is no position, so there is one reading
        ("{chr3:5-9}", whole("chr3:5-9")),
        ("{chr3}:5-9", [Region(2, 4, 9)]),
        ("chr1:0-10", [Region(0, 0, 10)]),
        ("chr1:0M-1k", [Region(0, 0, 1000)]),
        ("chr1:0", whole("chr1")),
        ("chr1:", whole("chr1")),
        ("chr1:-", whole("chr1")),
        ("{HLA-A*01:01}:", whole("HLA-A*01:01")),
        ("chr2:2001-", [Region(1, 2000, 2**31 - 1)]),
        ("chr2:3000-4000", [Region(1, 2999, 4000)]),
        ("*", whole(*LENGTHS)),
        ("_unplaced", [UNPLACED]),
        (".", [Region(i, -1, length) for i, (_, length) in enumerate(REFERENCES)] + [UNPLACED]),
    ],
)
def test_region(text, expected):
    assert parse_regions([text], REFERENCES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown contig ''"),
        ("chr4", "unknown contig 'chr4'"),
        ("1:5-6", "'1' .region '1:5-6'.; did you mean 'chr1'"),
        ("chr7", "did you mean '7'"),
        ("chr2-4", "unknown contig 'chr4' .region 'chr2-4'"),
        ("chr3-2", "greater than the last's"),
        ("chr3:5-9", "ambiguous: write {chr3:5-9} or {chr3}:5-9"),
        ("HLA-A*01:01:01:", "expected start-end|unknown contig"),
        ("chr1:20-10", "start is past the end"),
        ("chr1:5-0", "start is past the end"),
        ("chr1:1.5-10", "not a whole number"),
        ("chr1:1.0005k-2k", "not a whole number"),
        ("chr1:1e999-2", "expected start-end"),
        ("chr1:" + "9" * 5000, "expected start-end"),
        ("chr1:--5", "expected start-end"),
        ("chr1:1-2-3", "expected start-end"),
        ("chr1:1M-2X", "expected start-end"),
        ("chr1:\u0661-\u0662", "expected start-end"),
        ("chr1:,-5", "expected start-end"),
        ("{chr1:1-2", "expected {contig}"),
        ("{chr1}1-2", "expected {contig}"),
        ("{chr2-3}", "unknown contig 'chr2-3'"),
        ("chr" + "1" * 5000 + "-2", "unknown contig"),
    ],
)
def test_bad_region(text, message):
    with pytest.raises(UsageError, match=message) as raised:
        parse_regions(["chr1", text], REFERENCES)
    assert "\n" not in str(raised.value)


def test_contig_named_as_a_wildcard():
    assert parse_regions(["{.}"], [("chr1", 5), (".", 7)]) == [Region(1, 0, 7)]
    assert parse_regions(["_unplaced:2-5", "{_unplaced}"], [("_unplaced", 7)]) == [
        Region(0, 1, 5),
        Region(0, 0, 7),
    ]


def test_no_contigs():
    assert parse_regions(["*"], []) == []
    assert parse_regions(["."], []) == [UNPLACED]


def test_regions_keep_their_order_and_merge_sorts():
    regions = parse_regions(
        [".", "chr2", "chr1:5-9", "chr1:10-20", "chr1:30-40", "chr1:32-33"], REFERENCES[:2]
    )
    assert regions[-1] == Region(0, 31, 33)
    assert merge_regions(regions) == [Region(0, -1, 3_000_000), Region(1, -1, 2_000), UNPLACED]
    assert merge_regions([*regions[4:], UNPLACED, UNPLACED]) == [
        Region(0, 4, 20),
        Region(0, 29, 40),
        UNPLACED,
    ]
    assert merge_regions([]) == []


def test_merge_covers_the_same_bases():
    draw = random.Random(1)
    for _ in range(200):
        regions = []
        for _ in range(draw.randrange(8)):
            start = draw.randrange(30)
            regions.append(Region(draw.randrange(2), start, start + draw.randrange(1, 9)))
        merged = merge_regions(regions)
        bases = [(r.reference_id, base) for r in merged for base in range(r.start, r.end)]
        assert bases == sorted({(r.reference_id, base) for r in regions for base in range(r.start, r.end)})
        assert all(a.reference_id != b.reference_id or a.end < b.start for a, b in pairwise(merged))


BED = b"""#comment
track name=x
browser position chr1:1-2
\t
chr2\t5\t10\tname
chr2 7 9
chr9\t1\t2
chr1\t100\r
chr2 1900 99999
chr2 2000 2001
chr2 12 12
track 1 2
 a/b\t3\trs5
"""


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_bed(tmp_path, pack):
    path = tmp_path / "x.bed"
    path.write_bytes(pack(BED))
    expected = [(1, 5, 10), (1, 7, 9), (0, 99, 100), (1, 1_900, 2_000), (1, 12, 12), (6, 2, 3)]
    assert read_bed(path, REFERENCES) == expected


@pytest.mark.parametrize(
    "line",
    ["chr1", "chr1\tx\t5", "chr1\t9\t5", "chr1 0", "chr1\t-1\t5", "chr1 1 -5", "chr1 1 2x", "nowhere 5 1"],
)
def test_bad_bed(tmp_path, line):
    path = tmp_path / "x.bed"
    path.write_text(f"# one\n\n{line}\n")
    with pytest.raises(UsageError, match=r"x\.bed, line 3: expected contig, start and end"):
        read_bed(path, REFERENCES)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["1", "2"], "'1' is 'chr1' in the header"),
        (["nowhere", "chr7"], "'chr7' is '7' in the header"),
        (["M"], "'M' is 'MT' in the header"),
        (["chrM"], "'chrM' is 'MT' in the header"),
        (["1", "chr2"], ""),
        (["nowhere"], ""),
        ([], ""),
    ],
)
def test_a_bed_whose_contigs_have_other_names_is_told(tmp_path, caplog, names, told):
    path = tmp_path / "x.bed"
    path.write_text("".join(f"{name}\t1\t5\n" for name in names))
    read_bed(path, [*REFERENCES, ("MT", 9)])
    assert [each for each in caplog.messages if told in each] == caplog.messages
    assert len(caplog.messages) == bool(told)


@pytest.mark.parametrize("content", [None, gzip.compress(BED)[:-9], b"\x1f\x8bnot gzip at all"])
def test_unreadable_bed(tmp_path, content):
    path = tmp_path / "x.bed"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"can't read the BED file .*x\.bed: \S+"):
        read_bed(path, REFERENCES)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_over_many_portions(tmp_path, end, pack):
    path, draw = tmp_path / "x.bed", random.Random(3)
    lines = [
        (f"c{draw.randrange(3)}", (start := draw.randrange(1 << 31)), start + 5) for _ in range(PORTION // 10)
    ]
    path.write_bytes(pack("".join(f"{c}\t{s} {e}{end}" for c, s, e in lines).removesuffix(end).encode()))
    table = bed_table(path, names=True)
    contigs = [table.contigs[contig] for contig in table.contig]
    assert list(zip(contigs, table.starts, table.ends, strict=True)) == lines
    assert table.names is None
    path.write_bytes(pack(f"{end}{end}x 1 2 a b{end}x 3{end}".encode() + b"\xff\xfe 4 5 \xff"))
    table = bed_table(path, names=True)
    assert list(map(list, table[1:])) == [[0, 0, 1], [1, 2, 4], [2, 3, 5], [b"a", b"", b"\xff"]]
    assert table.contigs == ["x", "\udcff\udcfe"]
    assert bed_table(path).names is None


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("x\t1\t2\tgene A exon 1\t0\t+", "gene A exon 1"),
        ("x\t1\t2\tgene A exon 1", "gene A exon 1"),
        ("x\t1\t2\t\t0\t+", ""),
        ("x\t1\t2\t \t0", " "),
        ("x 1 2 gene A", "gene"),
        ("x\t1\t2", ""),
    ],
)
def test_the_name_of_a_line_is_its_fourth_column(tmp_path, line, name):
    path = tmp_path / "x.bed"
    path.write_text(f"{line}\nx\t3\t4\tlast\n")
    assert [label.decode() for label in bed_table(path, names=True).names] == [name, "last"]


HUGE = {  # made when they are tried, as they take long
    "blank lines": (lambda: gzip.compress(b"\n" * (FREE * 8)), "the file inflates to more than 100 times"),
    "lines": (
        lambda: gzip.compress(b"chr1\t1\t2\n" * (FREE // 2)),
        "the file inflates to more than 100 times",
    ),
    "one line": (lambda: bytes(MAX_LINE * 2), "a line is longer than 16 MiB"),
}


@pytest.mark.parametrize("what", HUGE)
def test_a_small_file_that_inflates_to_much(tmp_path, what):
    make, problem = HUGE[what]
    path = tmp_path / "x.bed.gz"
    path.write_bytes(make())
    with pytest.raises(UsageError, match=rf"x\.bed\.gz: {problem}"):
        bed_table(path)


@pytest.mark.parametrize("number", [10**18 - 1, 10**18])
def test_numbers_of_bed_lines(tmp_path, number):
    path = tmp_path / "x.bed"
    path.write_text(f"c 0 {number}")
    if number < 10**18:
        assert bed_table(path) == BedTable(
            ["c"], array("i", [0]), array("q", [0]), array("q", [number]), None
        )
    else:
        with pytest.raises(UsageError, match="line 1"):
            bed_table(path)


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    """An indexed BAM with reads of 1 to 40 bases all over the short contigs, and their intervals by name."""
    need("samtools")
    path = str(tmp_path_factory.mktemp("reads") / "x.bam")
    draw = random.Random(2)
    references = [(name, min(length, 3_000)) for name, length in REFERENCES]
    header = pysam.AlignmentHeader.from_references(*zip(*references, strict=True))
    starts = sorted(
        (i, draw.randrange(length)) for i, (_, length) in enumerate(references) for _ in range(300)
    )
    intervals = {}
    with pysam.AlignmentFile(path, "wb", header=header) as file:
        for number, (reference_id, start) in enumerate(starts):
            read = pysam.AlignedSegment(header)
            read.query_name, read.reference_id, read.reference_start = f"r{number}", reference_id, start
            length = min(draw.randrange(1, 41), references[reference_id][1] - start)
            read.query_sequence, read.cigarstring, read.mapping_quality = "A" * length, f"{length}M", 60
            file.write(read)
            intervals[read.query_name] = Region(reference_id, start, start + length)
    pysam.index(path)
    return path, references, intervals


def overlapping(regions, intervals):
    return sorted(
        name
        for name, read in intervals.items()
        if any(
            r.reference_id == read.reference_id and r.start < read.end and r.end > read.start for r in regions
        )
    )


def samtools_names(*arguments):
    result = subprocess.run(["samtools", "view", *arguments], capture_output=True, text=True, check=True)
    return sorted(line.split("\t")[0] for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "chr1",
        "chr1:1.5k-2k",
        "chr2:100-",
        "chr2:-200",
        "chr3:900",
        "chr3:7-7",
        "chr2:1990-9M",
        "chr1-3",
        "../x",
        "{x:y}:2-9",
        "HLA-A*01:01:01:01:3-5",
        "{HLA-A*01:01}:1-5",
        "a/b:6-9",
        "chr10:1e2-1.5e2",
    ],
)
def test_region_selects_what_samtools_selects(reads, text):
    path, references, intervals = reads
    selected = overlapping(parse_regions([text], references), intervals)
    assert selected == samtools_names(path, text)
    assert selected


def test_bed_selects_what_samtools_selects(reads, tmp_path):
    path, references, intervals = reads
    bed = tmp_path / "x.bed"
    bed.write_bytes(BED)
    selected = overlapping(read_bed(bed, references), intervals)
    assert selected == samtools_names("-L", str(bed), path)
    assert selected
