"""Options that a user gives to bcftools: those that the workflow chooses itself are refused, however they are written;
files are found where bcftools takes them from.
"""

import subprocess

import pytest
from bams3.errors import UsageError
from bams3.operations.bcftools import CALL, MPILEUP, PLOIDIES, Tool, check_contigs, options, refusal
from bams3.operations.call import call_jointly
from bams3.workflow import calling
from bams3.workflow.errors import ConfigurationError
from peers import need

TARGETS, OUTPUT, SAMPLES, REFERENCE = "`targets`", "chooses the output", "sample sheet", "`reference`"

# Of each tool: how an option may be written, what the error calls it, and what else it says.
REFUSED: dict[str, list[tuple[str, str, str]]] = {
    "mpileup": [
        ("-T targets.bed", "-T", TARGETS),
        ("-Ttargets.bed", "-T", TARGETS),
        ("-T^targets.bed", "-T", TARGETS),
        ("-t chr1:1-5", "-t", TARGETS),
        ("-q 20 -r chr1", "-r", TARGETS),
        ("-R x.bed", "-R", TARGETS),
        ("--targets-file x.bed", "--targets-file", TARGETS),
        ("--targets-file=x.bed", "--targets-file", TARGETS),
        ("--targets-f x.bed", "--targets-f", TARGETS),
        ("--targets chr1", "--targets", TARGETS),
        ("--region chr1", "--region", TARGETS),
        ("--regions chr1", "--regions", TARGETS),
        ("--regions-file=x", "--regions-file", TARGETS),
        ("-ABTx.bed", "-T", TARGETS),
        ("-xBOu", "-O", OUTPUT),
        ("-Ob", "-O", OUTPUT),
        ("--output-type=v", "--output-type", OUTPUT),
        ("-o x.bcf", "-o", OUTPUT),
        ("-ox.bcf", "-o", OUTPUT),
        ("--output x.bcf", "--output", OUTPUT),
        ("-W", "-W", OUTPUT),
        ("-W=csi", "-W=csi", OUTPUT),
        ("--write-index=tbi", "--write-index", OUTPUT),
        ("-f other.fa", "-f", REFERENCE),
        ("--fasta-ref=other.fa", "--fasta-ref", REFERENCE),
        ("--no-reference", "--no-reference", REFERENCE),
        ("-b list", "-b", SAMPLES),
        ("--bam-list list", "--bam-list", SAMPLES),
        ("-G groups", "-G", SAMPLES),
        ("--read-groups groups", "--read-groups", SAMPLES),
        ("--ignore-RG", "--ignore-RG", SAMPLES),
        ("--threads 4", "--threads", "one core"),
        ("-a AD other.bam", "other.bam", "is not an option"),
        ("-q 20 -- other.bam", "other.bam", "is not an option"),
        ("-q 20 -- -T x.bed", "-T", TARGETS),
        ("-q", "-q", "needs a value"),
        ("-a 'AD", "AD", "quotation"),
    ],
    "call": [
        ("-mv -Oz", "-O", OUTPUT),
        ("-mvOz", "-O", OUTPUT),
        ("-mvo x.vcf", "-o", OUTPUT),
        ("-mv -o 5", "-o", OUTPUT),
        ("-mv --output=x.vcf", "--output", OUTPUT),
        ("-mv --output-t z", "--output-t", OUTPUT),
        ("-mvW", "-W", OUTPUT),
        ("-mv -t chr1", "-t", TARGETS),
        ("-mvTx.bed", "-T", TARGETS),
        ("-mv -C trio -T x.bed", "-T", TARGETS),
        ("-mv --targets-file=x.bed", "--targets-file", TARGETS),
        ("-mv -r chr1", "-r", TARGETS),
        ("-mv --regions-file x", "--regions-file", TARGETS),
        ("-mv --threads=2", "--threads", "one core"),
        ("-mv x.bcf", "x.bcf", "is not an option"),
        ("-mv --ploidy GRCh99", "--ploidy GRCh99", "GRCh37, GRCh38, X, Y, 1, 2, or use --ploidy-file"),
        ("-mv --ploidy=", "--ploidy ", "GRCh37, GRCh38"),
        ("-mv --ploidy 1?", "--ploidy 1?", "GRCh37, GRCh38"),
    ],
}  # fmt: skip
CASES = [(tool, *row) for tool, rows in REFUSED.items() for row in rows]


@pytest.mark.parametrize(("tool", "text", "option", "reason"), CASES)
@pytest.mark.parametrize("section", ["call", "genotype"])
def test_what_the_workflow_chooses_is_refused(tool: str, text: str, option: str, reason: str, section: str):
    settings = {"mpileup": "", "call": "-m"} | {tool: text}
    with pytest.raises(ConfigurationError) as refused:
        calling.files(section, settings)
    said = str(refused.value)
    assert said.startswith(f"config: {section}: {tool}: ")
    assert option in said
    assert reason in said
    assert "\n" not in said


@pytest.mark.parametrize(("tool", "text"), [("mpileup", "-T x.bed"), ("call", "-mv -Ov")])
def test_joint_calling_itself_refuses_them(tool: str, text: str):
    with pytest.raises(UsageError, match=f"{tool}: -[TO]: "):
        call_jointly({}, [], "no.fa", "no.bcf", None, **{tool: text})


# How options are written that are taken, and the words that bcftools gets: of files, their places.
TAKEN: list[tuple[Tool, str, list[str], list[str]]] = [
    (MPILEUP, "-q 20 -a AD,DP", ["-q", "20", "-a", "AD,DP"], []),
    (MPILEUP, "-q20 -ABx --min-BQ=13", ["-q", "20", "-A", "-B", "-x", "--min-BQ", "13"], []),
    (MPILEUP, "-o 40 -o30", ["-o", "40", "-o", "30"], []),
    (MPILEUP, "-a '-T' --ff 1796", ["-a", "-T", "--ff", "1796"], []),
    (MPILEUP, "-s -T", ["-s", "-T"], []),
    (MPILEUP, "-S some.txt", ["-S", "/some.txt"], ["some.txt"]),
    (MPILEUP, "-BS^some.txt", ["-B", "-S", "^/some.txt"], ["some.txt"]),
    (MPILEUP, "--samples-file=^some.txt", ["--samples-file", "^/some.txt"], ["some.txt"]),
    (MPILEUP, "--new-option --another=5", ["--new-option", "--another=5"], []),
    (CALL, "-mv", ["-m", "-v"], []),
    (CALL, "-mv --ploidy GRCh38", ["-m", "-v", "--ploidy", "GRCh38"], []),
    (CALL, "-mv --ploidy-file p.txt", ["-m", "-v", "--ploidy-file", "/p.txt"], ["p.txt"]),
    (CALL, "-mvSsex.ped --ploidy-f=p", ["-m", "-v", "-S", "/sex.ped", "--ploidy-f", "/p"], ["sex.ped", "p"]),
    (CALL, "-mv -G -", ["-m", "-v", "-G", "-"], []),
    (CALL, "-mv --group-samples 'a b'", ["-m", "-v", "--group-samples", "/a b"], ["a b"]),
    (CALL, "-m -C alleles -T t.gz -i", ["-m", "-C", "alleles", "-T", "/t.gz", "-i"], ["t.gz"]),
    (CALL, "-m -g 0,5", ["-m", "-g", "0,5"], []),
]


@pytest.mark.parametrize(("tool", "text", "words", "files"), TAKEN)
def test_options_as_bcftools_gets_them(tool: Tool, text: str, words: list[str], files: list[str]):
    found = options(tool, text)
    assert list(found.words(lambda path: f"/{path}")) == words
    assert found.files() == files


@pytest.mark.parametrize(
    ("mpileup", "call", "tool", "said"),
    [
        ("-q 20 -a AD,DP -S samples.txt", "-m", "", ""),
        ("-a DP", "-m -g 0", "", ""),
        ("--no-such", "-m", "mpileup", "unrecognized option '--no-such'"),
        ("-a XX", "-m", "mpileup", "XX"),
        ("-B -E", "-m", "mpileup", "-B"),
        ("", "-mv --ploidy GRCh38 -s S1 --ploidy-file none.txt", "", ""),
        ("", "-m -C alleles -T none.vcf -i", "", ""),
        ("", "-m -g 0", "call", "FORMAT/DP"),
        ("", "-v", "call", "-m option"),
        ("", "-mcv", "call", "-c or -m"),
        *(("", f"-mv --ploidy {name}", "", "") for name in (*PLOIDIES, "grch37")),
    ],
)
def test_options_are_tried(mpileup: str, call: str, tool: str, said: str) -> None:
    need("bcftools")
    found_in, found = refusal(options(MPILEUP, mpileup), options(CALL, call)) or ("", "")
    assert (found_in, bool(found)) == (tool, bool(said))
    assert said in found


@pytest.mark.parametrize("name", ["a,b", ",", "a,", "[a", "#1", "a b", "a\tb"])
def test_contigs_that_bcftools_takes_for_others(name: str) -> None:
    with pytest.raises(UsageError, match=r"bcftools can't read a name with .* at that place") as raised:
        check_contigs([("chr1", 5), (name, 9)])
    assert "\n" not in str(raised.value)


def test_contigs_that_bcftools_reads() -> None:
    """Each is what its calls say, and the one behind it, too."""
    need("bcftools")
    names = [
        "chr1",
        "a[b",
        "HLA-A*01:01",
        "a=b",
        "a;b",
        "a|b",
        "<a>",
        '"a"',
        "a#",
        "{a}",
        "a]",
        "a\\b",
        "*a",
        "(a)",
        "'a'",
    ]
    check_contigs([(name, 9) for name in names])
    sam = "@HD\tSO:coordinate\n" + "".join(f"@SQ\tSN:{name}\tLN:9\n" for name in names)
    sam += "@RG\tID:a\tSM:a\n" + "".join(
        f"r\t0\t{name}\t1\t60\t1M\t*\t0\t0\tA\tI\tRG:Z:a\n" for name in names
    )
    words = ["bcftools", "mpileup", "--no-reference", "-"]
    lines = subprocess.run(words, input=sam, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines if not line.startswith("##")][1:] == names
