"""Placeholders of commands: whatever a contig or a file is called, it is a value, and never code or an option."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from bams3.errors import UsageError
from bams3.operations import placeholders
from bams3.operations.placeholders import for_a_shell, line_for_bash, words_with
from command_line import in_process
from engines import run_bams3 as run
from hypothesis import given, settings
from hypothesis import strategies as st
from workflows import ROOT

import bams3

MAKE = "touch${IFS}MADE"
CONTIGS = [
    f"c;{MAKE};x", f"c$({MAKE})", f"c`{MAKE}`", f"c';{MAKE};'", f'c";{MAKE};"', f"c|{MAKE}", f"c&{MAKE}&", "c>MADE",
    f"c'$({MAKE})'", f'c"$({MAKE})"', "c);system('touch${IFS}MADE');(", "c/e;w\\MADE;", 'c");open("MADE","w");("',
    "a[$(touch${IFS}MADE)]", "-rf", "--help", "c\\", "c*?[x]~{a,b}", "HLA-A*01:01", "c\x1b[2J", "ü\udcff",
]  # fmt: skip
LINES = [
    "echo {region}",
    "echo '{region}'",
    'echo "{region}"',
    "echo $(echo {region})",
    "echo `echo {region}`",
    "echo # {region}",
    "cat <<X\n{region}\nX",
    "cat <<< {region}",
    "bash -c 'echo {region}'",
    'bash -c "echo {region}"',
    "bash -c echo\\ {region}",
    "bash -c {region}",
    "bash -c x={region}",
    "bash -c $(echo {region})",
    "eval echo {region}",
    "x={region}; echo $x",
    "env bash -euc 'echo '{region}",
    "echo \\{region}",
    "echo ${region}",
    'echo "$(echo "{region}")"',
    "xargs -I% sh -c 'echo {region}' <<< a",
    "[[ {region} -eq 1 ]]",
    "((x={region}))",
    "let x={region}",
    "a[{region}]=1",
    "awk 'BEGIN{print \"{region}\"}'",
    "python3 -c 'print(\"{region}\")'",
    "echo x | sed s/x/{region}/",
    "echo $'{region}'",
    "echo {region}.{output}",
    "cat > {output}.x; echo {region}",
    "declare {region}",
]
WORDS = [
    ["echo", "{region}"], ["bash", "-c", "echo {region}"], ["bash", "-c", "echo '{region}'"], ["sh", "-c", "{region}"],
    ["bash", "-c", 'echo "{region}"'], ["env", "bash", "-euc", "x={region}"], ["awk", 'BEGIN{print "{region}"}'],
    ["python3", "-c", "print('{region}')"], ["perl", "-e", "print '{region}'"], ["perl", "-eprint q({region})"],
    ["sed", "s/x/{region}/"], ["xargs", "-I%", "sh", "-c", "echo {region}"], ["bash", "-c", "eval $0", "{chunk}"],
    ["bash", "-c", "echo $0", "{region}"], ["env", "-S", "bash -c 'echo {region}'"], ["echo", "--of={region}"],
]  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose contigs have these names, and so its own."""
    folder = tmp_path_factory.mktemp("hostile")
    names = [name.encode("utf-8", "surrogateescape") for name in CONTIGS]
    lines = [b"@HD\tVN:1.6\tSO:coordinate", *(b"@SQ\tSN:%s\tLN:500" % name for name in names)]
    sam = b"".join(line + b"\n" for line in lines)
    sam += b"".join(b"r\t0\t%s\t5\t60\t5M\t*\t0\t0\tACGTA\tIIIII\n" % name for name in names)
    (folder / "x.sam").write_bytes(sam)
    bams3.convert(folder / "x.sam", folder / f"s;{MAKE};$({MAKE})'.bams3")
    return folder / f"s;{MAKE};$({MAKE})'.bams3"


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.name.startswith("MADE")}


@pytest.mark.parametrize("words", [*([line] for line in LINES), *WORDS], ids=" ".join)
def test_no_name_is_code(
    hostile: Path,
    tmp_path: Path,
    words: list[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is refused, or runs with the name as it is; and so for what the dataset is called."""
    monkeypatch.chdir(tmp_path)
    for name in ("region", "sample") if len(words) > 1 else ("region",):
        command = [word.replace("{region}", f"{{{name}}}") for word in words]
        out = ["--output-dir", "out", "--joblog", "log"] if any("{output}" in word for word in words) else []
        code, printed, said = in_process(capfd)("map", "--input-fmt", "none", *out, hostile, "--", *command)
        assert not files_of(tmp_path), said
        assert "Traceback" not in said
        if code and not printed:
            assert re.search(r"BAMS3_\w+|exit code|command not found|did not write \{output\}", said), said


@pytest.mark.parametrize(
    "line", ["echo {region}", "cat <<< {region}", "x={region}; echo $x", 'echo "$BAMS3_REGION"']
)
def test_lines_that_are_run(hostile: Path, tmp_path: Path, line: str) -> None:
    here = {"cwd": tmp_path, "errors": "surrogateescape"}
    expected = run("chunks", "--format", "json", hostile)
    regions = [chunk["region"] for chunk in json.loads(expected.stdout)]
    done = run("map", "--input-fmt", "none", "--joblog", "log", hostile, "--", line, **here)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[:-1] == regions
    # What the log has is run as it stands there, and says the same.
    logged = [row.split("\t", 8)[8] for row in (tmp_path / "log").read_text().split("\n")[1:-1]]
    assert len(logged) == len(regions)
    again = [subprocess.run(["bash", "-c", row], cwd=tmp_path, capture_output=True).stdout for row in logged]
    encoded = [f"{region}\n".encode("utf-8", "surrogateescape") for region in regions]
    assert sorted(again) == sorted(encoded)
    assert not files_of(tmp_path)


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("bams3 inspect {chunk} | grep ^records > {output}", True),
        ("bams3 inspect {chunk} | awk -v region={region} '/^records/ {print region, $2}' > {output}", True),
        ("samtools sort -n -o {output} -", True),
        ("python3 count.py -c {chunk} --of={region}", True),
        ("python3 -m count -c {chunk}", True),
        ("bash -c 'echo $0' {region}", True),
        ("n=$(wc -l); echo {sample} $n > {output}.txt", True),
        ("samtools view - | awk '{print $1}' | sort > {output}", True),
        ("for i in 1 2; do echo \"${i}\" {region}; done; echo $# {sample}.$$", True),
        ("# count 'em\nwc -l {chunk}", True),
        ("cat <(bams3 inspect {chunk}) > {output}", True),
        ("[ {region} = chr1:1-5 ] && (exec < /dev/null; echo {region})", True),
        ("sed -n 1p {chunk}", True),
        ("echo {sample} {region} $(basename {chunk}) | awk '{print $1, $2, $3}' > {output}", True),
        ("echo '{other}' {other}", True),
        ("echo '{region}'", False),
        ("echo \\{region}", False),
        ('echo "a $(echo b) c" {region}', False),  # perhaps: where it ends only a parser knows
    ],
)  # fmt: skip
def test_what_stands_where_bash_reads_a_word(line: str, runs: bool) -> None:
    if runs:
        expected = re.sub(
            r"\{(chunk|region|sample|output)\}", lambda name: f'"$BAMS3_{name[1].upper()}"', line
        )
        assert line_for_bash(line) == expected
    else:
        with pytest.raises(UsageError, match=r'"\$BAMS3_REGION"'):
            line_for_bash(line)


NAME = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
SNIPPETS = st.sampled_from(
    [
        ":",
        "echo 'a b' \"c $HOME\" d\\'",
        ': "$(echo "q" \'r\')"',
        'x=$(printf %s "y z")',
        "# it's\n:",
        ': ${x:-"a\'b"}',
        "cat <<E\nit's\nE\n:",
        'cat <<< "a\'b"',
        ": `echo a`",
        "((1 < 2))",
        ": $((1 + 2)) $#",
        "for i in 1 2; do :; done",
        ": $'it\\'s'",
        "case a in (a) :;; esac",
        "{ :; }",
        "( : )",
        ": a#b '#' \\#",
        ': "`echo "a"`"',
        "[[ a == a ]]",
        ": it\\'s",
    ]
)
WAYS = st.sampled_from(
    [
        "{}",
        "'{}'",
        '"{}"',
        "\\{}",
        "$'{}'",
        "'a'{}",
        '"$(printf %s "{}")"',
        "`printf %s {}`",
        "${}",
        '""{}',
    ]
).map(lambda way: way.replace("{}", "{region}"))


@given(NAME, st.lists(SNIPPETS, max_size=3), WAYS, st.lists(SNIPPETS, max_size=2))
@settings(max_examples=300)
def test_what_is_accepted_prints_exactly_the_name(
    name: str, before: list[str], way: str, after: list[str]
) -> None:
    try:
        line = line_for_bash("\n".join([*before, f"printf '<%s>' {way}", *after]))
    except UsageError:
        return
    environment = {"BAMS3_REGION": name, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, env=environment, stdin=subprocess.DEVNULL
    )
    if not re.search(rb"syntax error|unexpected EOF", done.stderr):
        prefix = "a" if way.startswith("'a'") else ""
        assert f"<{prefix}{name}>" in done.stdout.decode(errors="replace")


@given(st.lists(NAME, min_size=1, max_size=4))
def test_a_log_line_is_one_line_with_the_same_words(words: list[str]) -> None:
    line = for_a_shell(["printf", "%s\\0", *words], {"X": words[0]})
    assert "\n" not in line
    assert "\t" not in line
    if "://" not in line and "…" not in line:
        done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
        assert done.stdout.decode().split("\0")[:-1] == words


@pytest.mark.parametrize(
    ("words", "value", "made"),
    [
        (["x", "{region}"], "a b;c", ["x", "a b;c"]),
        (["x", "--of={region}"], "chr1:1-5", ["x", "--of=chr1:1-5"]),
        (["x", "--of={region}"], "a b", None),
        (["x", "-o{region}"], "-rf", None),
        (["bash", "-c", "{region}"], "chr1:1-5", ["bash", "-c", "chr1:1-5"]),
        (["bash", "-c", "{region}"], "a;b", None),
        (["/usr/bin/env", "python3.11", "-u", "-c", "{region}"], "a;b", None),
        (["ssh", "host", "ls", "{region}"], "a;b", None),
        (["bash", "x.sh", "-c", "{region}"], "a;b", ["bash", "x.sh", "-c", "a;b"]),
        (["samtools", "view", "-c", "{region}"], "a;b", ["samtools", "view", "-c", "a;b"]),
    ],
)
def test_words(words: list[str], value: str, made: list[str] | None) -> None:
    if made is None:
        with pytest.raises(UsageError, match="BAMS3_REGION"):
            words_with({"region": value}, words)
    else:
        assert words_with({"region": value}, words) == made


def test_a_sample_is_no_option(hostile: Path, tmp_path: Path) -> None:
    (tmp_path / "-rf.bams3").symlink_to(hostile)
    command = ["map", "--shard", "1/99", "./-rf.bams3", "--"]
    done = run(*command, "echo", "{sample}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "BAMS3_SAMPLE" in done.stderr
    assert run(*command, 'echo "./$BAMS3_SAMPLE"', cwd=tmp_path).stdout == "./-rf\n"


def test_nextflows_module_has_the_same_rules() -> None:
    module = ROOT / "integrations/nextflow/modules/bams3/processchunk"
    assert (module / "quoted.regex").read_text() == f"{placeholders.QUOTED}\n"
    assert (module / "evaluated.regex").read_text() == f"{placeholders.EVALUATED}\n"
    assert placeholders.PLACEHOLDER.pattern.replace("\\", "\\\\") in (module / "main.nf").read_text()
