"""The options of `bcftools mpileup` and `bcftools call` that users may add, parsed as bcftools does (getopt_long)."""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from bams3.errors import UsageError

_NOT_FOR_SAMPLES = "the sample sheet defines the samples and their names; remove the option"
_TARGETS = "use the key `targets` to choose where variants are called"
_OUTPUT = "the workflow chooses the output; remove the option"
_ONE_CORE = "a job has one core; use a smaller `window` to run more jobs in parallel"


class Tool(NamedTuple):
    """A bcftools command and its options.

    `short`: the one-letter options, as a getopt string. `long`: the long options, each followed by `=` if it takes a
    value or by `:` if not, and then by the short option that it is a synonym of, if any. `refused`: the options that
    users can't set here, each with advice. `files`: the options whose value is a file.
    """

    name: str
    short: str
    long: str
    refused: Mapping[str, str]
    files: frozenset[str]


MPILEUP = Tool(
    "mpileup",
    "Ag:f:r:R:q:Q:C:BDd:L:b:P:po:e:h:Im:F:EG:6O:xa:s:S:t:T:M:X:UW::v:",
    "nu= lu= rf= ns= ff= ls= skip-any-unset= skip-all-unset= skip-any-set= skip-all-set= incl-flags= excl-flags= "
    "output= open-prob= ignore-RG: ignore-rg:ignore-RG gvcf=g no-reference: no-version: threads= illumina1.3+:6 "
    "count-orphans:A bam-list=b no-BAQ:B no-baq:B full-BAQ:D full-baq:D adjust-MQ=C adjust-mq=C max-depth=d "
    "redo-BAQ:E redo-baq:E fasta-ref=f read-groups=G region=r regions=r regions-file=R targets=t targets-file=T "
    "min-MQ=q min-mq=q min-BQ=Q min-bq=Q max-BQ= max-bq= delta-BQ= ignore-overlaps:x output-type=O samples=s "
    "samples-file=S annotate=a ext-prob=e gap-frac=F indel-bias= indel-size= indels-2.0: indels-cns: "
    "no-indels-cns: tandem-qual=h skip-indels:I max-idepth=L min-ireads=m per-sample-mF:p per-sample-mf:p "
    "platforms=P max-read-len=M config=X seed= ambig-reads= ar= write-index:W del-bias= poly-mqual: "
    "no-poly-mqual: score-vs-ref= seqq-offset= mwu-u:U verbosity=v",
    {
        **dict.fromkeys(("f", "no-reference"), "use the key `reference`"),
        **dict.fromkeys(("b", "G", "ignore-RG"), _NOT_FOR_SAMPLES),
        **dict.fromkeys("rRtT", _TARGETS),
        **dict.fromkeys(("o", "output", "O", "W"), _OUTPUT),
        "threads": _ONE_CORE,
    },
    frozenset("S"),
)
CALL = Tool(
    "call",
    "h?o:O:r:R:s:S:t:T:A*NMV:vcmp:C:n:P:f:a:ig:XYF:G:W::",
    "help:h format-fields=f annotate=a prior-freqs=F gvcf=g group-samples=G group-samples-tag= output=o "
    "output-type=O regions=r regions-file=R regions-overlap= samples=s samples-file=S targets=t targets-file=T "
    "threads= keep-alts:A keep-unseen-allele:* insert-missed:i skip-Ns:N keep-masked-refs:M keep-masked-ref:M "
    "skip-variants=V variants-only:v consensus-caller:c constrain=C multiallelic-caller:m pval-threshold=p "
    "prior=P novel-rate=n ploidy= ploidy-file= chromosome-X:X chromosome-Y:Y no-version: write-index:W verbosity=",
    {
        **dict.fromkeys("rRtT", _TARGETS),
        **dict.fromkeys("oOW", _OUTPUT),
        "threads": _ONE_CORE,
    },
    frozenset(("G", "S", "T", "ploidy-file")),
)


PLOIDIES = ("GRCh37", "GRCh38", "X", "Y", "1", "2")
"""The values of `bcftools call --ploidy`, in upper or lower case."""
_EMPTY = b"@SQ\tSN:a\tLN:1\n@RG\tID:a\tSM:a\n"
"""A SAM file with a contig and a read group, but without reads."""
_OF_OTHER_INPUTS = frozenset(("s", "S", "G", "group-samples-tag", "t", "T", "C", "i", "ploidy-file"))
"""Options that are valid only for an input with certain samples or sites."""


class _Word(NamedTuple):
    """An option: the text as written, its canonical name, and its value, if any."""

    text: str
    option: str
    value: str | None = None


class Options(NamedTuple):
    """The options given to a tool."""

    tool: Tool
    given: tuple[_Word, ...]

    def has(self, option: str) -> bool:
        return any(word.option == option for word in self.given)

    def file(self, option: str) -> str:
        """Return the file that the last occurrence of an option names; "" without one."""
        return next((self._file(word) for word in reversed(self.given) if word.option == option), "")

    def files(self) -> list[str]:
        """Return the files that the options name, without duplicates."""
        return list(dict.fromkeys(path for word in self.given if (path := self._file(word))))

    def chosen_samples(self) -> Iterator[tuple[str, list[str], bool]]:
        """Yield how each option chooses samples: a file of names, or "", and names, and whether `^` excludes them."""
        for word in self.given:
            if word.option == "S":
                yield self._file(word), [], (word.value or "").startswith("^")
            elif word.option == "s":
                names = (word.value or "").removeprefix("^").split(",")
                yield "", names, (word.value or "").startswith("^")

    def words(self, place: Callable[[str], str] = str) -> Iterator[str]:
        """Yield the options as words; `place` maps each file name to the path to use."""
        for text, option, value in self.given:
            path = self._file(_Word(text, option, value))
            if value is None:
                yield text
            elif path:
                kept = value[: len(value) - len(path)]
                yield from (text, kept + place(path))
            else:
                yield from (text, value)

    def _file(self, word: _Word) -> str:
        """Return the file that an option names, without the `^` that excludes the file's entries; "" if none."""
        if word.option not in self.tool.files or word.value in (None, "-"):
            return ""
        return word.value.removeprefix("^")


def options(tool: Tool, text: str) -> Options:
    """Parse options that are quoted as in a shell. Raises UsageError for invalid options and for refused ones."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{tool.name}: {text!r}: {error}") from None
    found = Options(tool, tuple(_read(tool, words)))
    for word in found.given:
        if word.option in tool.refused and not _is_free(found, word):
            raise UsageError(f"{tool.name}: {word.text}: {tool.refused[word.option]}")
        if word.option == "ploidy" and (word.value or "").lower() not in map(str.lower, PLOIDIES):
            raise UsageError(
                f"{tool.name}: --ploidy {word.value}: choose one of {', '.join(PLOIDIES)}, or use --ploidy-file"
            )
    return found


def check_contigs(contigs: Iterable[tuple[str, int]]) -> None:
    """Raise UsageError for a contig that bcftools can't read.

    bcftools omits a name with a comma from its header, and then writes wrong names for the contigs after it. In its
    list of targets, it skips a name that begins with # or contains a space.
    """
    for name, _ in contigs:
        if found := re.search(r"^[\[#]|[,\s]", name):
            raise UsageError(
                f"contig {name!r}: bcftools can't read a name with {found[0]!r} at that place, and may write calls of "
                "other contigs under wrong names; rename the contig (samtools reheader)"
            )


def refusal(mpileup: Options, call: Options) -> tuple[str, str] | None:
    """Return the tool that rejects its options, and its error message; None if bcftools accepts all of them.

    This runs both commands on an input without reads, so bcftools must be installed.
    """
    data = _EMPTY
    for given, words in ((mpileup, ["--no-reference", "-"]), (call, [])):
        tried = [word for word in given.given if word.option not in _OF_OTHER_INPUTS]
        command = ["bcftools", given.tool.name, *Options(given.tool, tuple(tried)).words(), *words]
        done = subprocess.run(command, input=data, capture_output=True)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").splitlines()
            told = [
                line
                for line in lines
                if line.strip() and not line.lower().startswith(("note:", "[", "warning"))
            ]
            return given.tool.name, told[0] if told else f"it ends with exit code {done.returncode}"
        data = done.stdout
    return None


def _is_free(found: Options, word: _Word) -> bool:
    """Tell whether an option that is usually refused is allowed: `-o INT` of mpileup (gap-open probability), and
    `-T` of call with `-C alleles`."""
    if found.tool is MPILEUP:
        return word.option == "o" and (word.value or "").isdecimal()
    alleles = any(option == "C" and (value or "").lower() == "alleles" for _, option, value in found.given)
    return word.option == "T" and alleles


def _read(tool: Tool, words: list[str]) -> Iterator[_Word]:
    rest = iter(words)
    for word in rest:
        if word.startswith("--") and len(word) > 2:
            yield _long(tool, word, rest)
        elif word.startswith("-") and len(word) > 1:
            yield from _short(tool, word, rest)
        else:
            raise UsageError(
                f"{tool.name}: {word!r} is not an option; remove it, or quote it together with its option's value"
            )


def _long(tool: Tool, word: str, rest: Iterator[str]) -> _Word:
    """Parse a long option, which may be abbreviated if the abbreviation is unambiguous."""
    name, has_value, value = word[2:].partition("=")
    names = _long_names(tool)
    alike = {names[name]} if name in names else {names[full] for full in names if full.startswith(name)}
    if len(alike) > 1:
        raise UsageError(f"{tool.name}: --{name} is ambiguous; write the option's name in full")
    option, takes_value = alike.pop() if alike else (name, False)
    if has_value and takes_value:
        return _Word(f"--{name}", option, value)
    return _Word(word, option, _value(tool, f"--{name}", rest) if takes_value else None)


def _long_names(tool: Tool) -> dict[str, tuple[str, bool]]:
    """Map each long name to the option's canonical name and whether it takes a value."""
    found = {}
    for entry in tool.long.split():
        at = min(place for place in (entry.find("="), entry.find(":")) if place >= 0)
        found[entry[:at]] = (entry[at + 1 :] or entry[:at], entry[at] == "=")
    return found


def _short(tool: Tool, word: str, rest: Iterator[str]) -> Iterator[_Word]:
    """Parse a word of one-letter options; the value of the last one may follow in the same or the next word."""
    for at, letter in enumerate(word[1:], 2):
        place = tool.short.find(letter)
        after = tool.short[place + 1 : place + 3] if place >= 0 and letter != ":" else ""
        if after == "::":
            yield _Word(f"-{word[at - 1 :]}", letter)
            return
        if after.startswith(":"):
            yield _Word(f"-{letter}", letter, word[at:] or _value(tool, f"-{letter}", rest))
            return
        yield _Word(f"-{letter}", letter)


def _value(tool: Tool, option: str, rest: Iterator[str]) -> str:
    if (value := next(rest, None)) is None:
        raise UsageError(f"{tool.name}: {option} needs a value")
    return value
