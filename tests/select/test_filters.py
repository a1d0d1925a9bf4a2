"""Filter expressions, against `samtools view -e` on made and real reads."""

import random
import subprocess
from itertools import islice
from typing import NamedTuple

import numpy as np
import pysam
import pytest
from bams3.select.filters import Expression
from expressions import random_expression
from peers import need, real_bams

REAL = real_bams()
HEADER = {
    "HD": {"VN": "1.6"},
    "SQ": [{"SN": "chr1", "LN": 100_000}, {"SN": "chr2", "LN": 100_000}, {"SN": "HLA-A*01:01", "LN": 5_000}],
    "RG": [{"ID": "a", "LB": "lib one"}, {"ID": "b"}],
}


class Reads(NamedTuple):
    path: str
    lines: list[bytes]
    columns: dict[str, object]


def made_read(header, draw, number):
    read = pysam.AlignedSegment(header)
    read.query_name = draw.choice(["r", "read:1:", "É", 'q"', "back\\"]) + str(number // 2)
    length = draw.choice([0, 1, 20, 50])
    if length:
        read.query_sequence = "".join(draw.choices("ACGTN", k=length))
        if draw.random() < 0.8:
            read.query_qualities = pysam.qualitystring_to_array("".join(draw.choices("!#5?I", k=length)))
    read.flag = draw.randrange(4096)
    read.reference_id = draw.choice([-1, 0, 1, 2])
    read.next_reference_id = draw.choice([-1, 0, 1, 2])
    read.reference_start = draw.randrange(-1, 4_000) if read.reference_id >= 0 else -1
    read.next_reference_start = draw.randrange(-1, 4_000)
    read.mapping_quality = draw.choice([0, 1, 29, 30, 60, 255])
    read.template_length = draw.choice([0, draw.randrange(-500, 500)])
    if length != 1 and draw.random() < 0.8:
        span = length or 30  # a read may have a CIGAR and no bases
        read.cigarstring = draw.choice(
            [
                f"{span}M",
                f"5S{span - 5}M",
                f"2H3S{span - 7}M4S1H",
                f"4M100N{span - 4}=",
                f"{span}S",
                f"2H{span}M",
            ]
        )
    for tag, kind, values in [
        ("NM", "i", [0, 1, 5, 70_000]),
        ("AS", "i", [-3, 0, 40]),
        ("XF", "f", [0.0, 0.5, -1.25, float("nan")]),
        ("XA", "A", ["P", "Q"]),
        ("RG", "Z", ["a", "b", "c"]),
        ("MD", "Z", ["", "10A5", "50", "^AC"]),
    ]:
        if draw.random() < 0.7:
            read.set_tag(tag, draw.choice(values), kind)
    return read


def clipped(read, operation):
    """Bases clipped by an operation (4 soft, 5 hard) at the two ends, as htslib counts them."""
    cigar = read.cigartuples or []
    total = 0
    for ends in (cigar, cigar[::-1]):
        skip = 1 if operation == 4 and len(ends) > 1 and ends[0][0] == 5 else 0
        if len(ends) > skip and ends[skip][0] == operation:
            total += ends[skip][1]
        if len(cigar) == 1:
            break
    return total


def columns_of(reads, header):
    """Every field of the reads, as `Expression.evaluate` takes them."""
    libraries = {group["ID"]: group.get("LB", "") for group in header.to_dict().get("RG", [])}
    spans = [sum(n for op, n in read.cigartuples or [] if op in (0, 2, 3, 7, 8)) for read in reads]
    integers = {
        "flag": lambda read: read.flag,
        "mapq": lambda read: read.mapping_quality,
        "pos": lambda read: read.reference_start,
        "mpos": lambda read: read.next_reference_start,
        "tlen": lambda read: read.template_length,
        "refid": lambda read: read.reference_id,
        "mrefid": lambda read: read.next_reference_id,
        "ncigar": lambda read: len(read.cigartuples or []),
        "qlen": lambda read: sum(n for op, n in read.cigartuples or [] if op in (0, 1, 4, 7, 8)),
        "sclen": lambda read: clipped(read, 4),
        "hclen": lambda read: clipped(read, 5),
    }
    texts = {
        "qname": lambda read: read.query_name.encode().decode("latin-1"),
        "rname": lambda read: read.reference_name or "*",
        "mrname": lambda read: read.next_reference_name or "*",
        "cigar": lambda read: read.cigarstring or "*",
        "seq": lambda read: read.query_sequence or "",
        "qual": lambda read: "".join(map(chr, read.query_qualities or [255] * read.query_length)),
        "library": lambda read: libraries.get(dict(read.get_tags()).get("RG"), ""),
    }
    columns = {name: np.array([value(read) for read in reads]) for name, value in integers.items()}
    columns |= {name: [value(read) for read in reads] for name, value in texts.items()}
    ends = [span if span and not read.is_unmapped else 1 for read, span in zip(reads, spans, strict=True)]
    return columns | {"rlen": np.array(spans), "endpos": columns["pos"] + ends}


def build(records, header, path):
    """A BAM of `records`, and their columns."""
    need("samtools")
    with pysam.AlignmentFile(path, "wb", header=header) as file:
        for record in records:
            file.write(record)
    lines = samtools_lines("view", str(path))
    assert len(lines) == len(records)
    tags = [dict(record.get_tags()) for record in records]
    names = {name for each in tags for name in each} | {"ZZ"}
    columns = columns_of(records, header) | {f"[{name}]": [each.get(name) for each in tags] for name in names}
    return Reads(str(path), lines, columns)


def samtools_lines(*arguments):
    return subprocess.run(["samtools", *arguments], capture_output=True, check=True).stdout.splitlines()


def selected(reads, text):
    """The SAM lines of the records that match, by our evaluation."""
    expression = Expression(text)
    absent = [None] * len(reads.lines)
    columns = {name: reads.columns.get(name, absent) for name in expression.fields}
    mask = expression.evaluate(columns, len(reads.lines))
    assert (mask.dtype, mask.shape) == (bool, (len(reads.lines),))
    return [line for line, chosen in zip(reads.lines, mask, strict=True) if chosen]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Reads of every kind, few of them plausible."""
    draw = random.Random(1)
    header = pysam.AlignmentHeader.from_dict(HEADER)
    records = [made_read(header, draw, number) for number in range(800)]
    return build(records, header, tmp_path_factory.mktemp("made") / "x.bam")


EXPRESSIONS = r"""
mapq >= 30 && !flag.dup && [NM] < 5
mapq
!mapq
flag.paired && flag.proper_pair || flag.unmap && flag.munmap
flag.reverse | flag.mreverse ^ flag.read1 & flag.read2
flag.secondary || flag.qcfail || flag.supplementary
flag & 0x10 == 16
(flag & 12) == 4
flag & 12 | 1 > 2
pos > 1000 && pos <= 2000 && mpos != pnext
pos == 0 || pnext == 0
endpos - pos + 1 == rlen
endpos < 1000
qlen != length(seq)
qlen - sclen > 20
ncigar > 1 && cigar =~ "S"
cigar == "*" || cigar !~ "^[0-9]+M$"
tlen < -100 || tlen > 1e2
-tlen > 5.5
- -5 > 4 && +3 && --5 == 5
refid == mrefid && rname == rnext
refid < 0
rname == "chr1" || mrname != "chr2"
rname > "H" && rname <= "chr1"
library == "lib one"
library
library == ""
avg(qual) > 20
avg(qual) == 0
min(qual) < 5
max(qual) >= 40 && max(qual) < 255
!min(qual)
exists(min(seq))
length(seq) > 30
length("abc") == 3 && avg("\t") == 9
seq =~ "A{3,}"
seq !~ "N"
seq =~ "(AC|GT)+[[:alpha:]]T"
qname =~ "^read:[0-9]:1+"
qname =~ "\"|\\\\"
qname =~ "\\.|É"
qname =~ "1*+3"
qname =~ "\\<r|^\\<q|5\\>|d\\>$"
qname =~ "\\bread\\b.*\\B1"
qname =~ "(a|r)*:{,2}[^[:space:]]"
seq =~ "^(A|C|G|T){2,}$"
qname =~ "[^]a-q:0-4]$"
qname =~ "\\<[rq]\\w*5\\>"
qname =~ "\""
qname =~ "[\\]"
qname =~ "a|"
"chr1" =~ "r"
[NM]
![NM]
!![NM]
[NM] == 0
[NM] != 0
[NM]+0
-[NM]
~[NM]
![NM] || [NM] > 3
[NM] > [AS]
[NM] > [ZZ]
[ZZ]
![ZZ]
[ZZ] == 0
[ZZ] != 0
!([ZZ] != 0)
[ZZ] || 1
[ZZ] && 1
![ZZ] && 1
[ZZ] =~ "a"
!([ZZ] =~ "a")
[ZZ] !~ "a"
length([ZZ]) == 0
avg([ZZ]) == 0
exists(min([ZZ]))
sqrt([ZZ]) == 0
exp([ZZ]) == 1
log([ZZ]) < 0
pow([ZZ], 2) == 0
default([ZZ], 5) == 5
default([ZZ], "x") == "x"
default([NM], -1) < 0
default([NM], "none") == "none"
default([NM], "none") != "none"
default([NM], [AS]) > 3
default([RG], [NM])
default(1, 2) == 1
exists([NM])
!exists([NM])
exists([NM]) + exists([AS]) == 1
exists([NM] + [AS])
exists(avg(qual))
[RG] == "a"
[RG] != "a"
[RG] >= "b"
[RG] =~ "[ab]"
[RG] !~ "^(a|b)$"
[RG] == 5
[RG] != 5
[RG] < 5
[NM] == "5"
[NM] != "5"
[RG] == [NM]
[RG] != [NM]
[XA] == "P" || [XA] =~ "Q"
length([MD])
length([MD]) == 0
![MD]
[MD] =~ "^$"
[MD] =~ "\\^"
[MD] =~ "[0-9]+[A-Z]?+5"
length(default([MD], "")) > 2
[XF] > 0
[XF]
![XF]
exists([XF])
[XF] == [XF]
[XF] * 4 == 2 || [XF] < -1
sqrt([XF]) > 0
!sqrt([XF])
log(mapq) > 3
log(mapq)
exp(mapq / 10) > 100
sqrt(mapq) * sqrt(mapq) > 29.5
pow(mapq, 2) == 900
pow([NM], 2)
pow(-1, 0.5)
exists(pow(-1, 0.5))
!pow(-1, 0.5)
sqrt(-1) || mapq
mapq / 2 == 15 && mapq % 7 == 2
tlen % 5 == -1
tlen / 0 > 0
tlen % 0
!(tlen % 0)
7.9 % 5 == 2 && (7.9 & 4.1) == 4
10 / 4 == 2.5
~5 == -6
!0.5
!(0.2 + 0.3)
!"a"
!""
""
"x"
1 || 0 && 0
0 && 0 || 1
1 == 1 == 1
2 == 2 == 2
3 > 2 > 1
3 > 2 > 0
1 < 2 == 1
1 + 2 * 3 == 7 && 8 - 2 - 1 == 5 && 2 * 7 % 4 == 2
(2 > 1) + (3 < 5) == 2
1 | 2 ^ 3 & 1 + 1
0x1F == 31 && 1.5e1 == 15 && .5 == 0.5 && 5. == 5 && 0XaB == 171
nan
!nan
nan == nan
inf > 1e300 && -inf < 0
mapq>=30&&!flag.dup
 ( ( mapq )>30 )	&& 1
mapq == 30 || mapq == 29 || mapq == 60
[NM] < 5 || [ZZ] < 5
![ZZ] || 0
!(mapq > [ZZ])
(mapq > [ZZ]) || 0
(mapq > [ZZ]) == 0
[NM] & 1
[NM] & [ZZ]
![NM] & 1
1 & !([NM] | [ZZ])
exists([NM] ^ 3)
[NM] * [AS] < 0
+[AS] <= 0
+[ZZ] || !+[ZZ]
""".strip("\n").splitlines()


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_made_reads(made, text):
    assert selected(made, text) == samtools_lines("view", "-e", text, made.path)


def test_hard_clips(made):
    """A field that came after samtools 1.16."""
    text = "hclen == 2 || hclen > sclen"
    assert selected(made, text) == pysam.view("-e", text, made.path).encode("utf-8").splitlines()


@pytest.mark.parametrize("source", REAL, ids=lambda path: path.stem)
def test_real_reads(source, tmp_path):
    with pysam.AlignmentFile(source, check_sq=False) as file:
        reads = build(list(islice(file, 100)), file.header, tmp_path / "x.bam")
    numeric = [name for name, column in reads.columns.items() if is_numeric(name, column)]
    expressions = [random_expression(random.Random(seed), numeric) for seed in range(25)]
    for text in [*(text for text in EXPRESSIONS[:20] if "[" not in text), *expressions]:
        assert selected(reads, text) == samtools_lines("view", "-e", text, reads.path), text


@pytest.mark.parametrize("seed", range(150))
def test_random_expressions(made, seed):
    numeric = [name for name, column in made.columns.items() if is_numeric(name, column)]
    text = random_expression(random.Random(seed), numeric)
    assert selected(made, text) == samtools_lines("view", "-e", text, made.path), text


def is_numeric(name, column):
    if name in ("library", "hclen"):  # hclen came after samtools 1.16
        return False
    return all(value is None or isinstance(value, int | float | np.integer) for value in column)
