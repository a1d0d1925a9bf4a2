"""The options of samtools view that bams3 query and to-bam pass on to samtools, ignore, or explain."""

import argparse
import os
from typing import Any

from bams3.cli.parser import explain
from bams3.standard_input import take

# Names (those after the first one are synonyms), metavar (None: a flag without a value), and description.
PASSED: tuple[tuple[tuple[str, ...], str | None, str], ...] = (
    (("-G", "--exclude-all-flags"), "FLAG", "leave out reads with all of these FLAG bits"),
    (("--rf", "--incl-flags", "--include-flags"), "FLAG", "only reads with any of these FLAG bits"),
    (("-m", "--min-qlen"), "N", "only reads whose CIGAR consumes N bases of the read or more"),
    (("-l", "--library"), "NAME", "only reads of this library"),
    (("-R", "--read-group-file"), "FILE", "only reads of the read groups that FILE lists"),
    (("-N", "--qname-file"), "FILE", "only reads whose names FILE lists; ^FILE: only the others"),
    (("-d", "--tag"), "TAG[:VAL]", "only reads with this tag, and with this value if one is given"),
    (("-D", "--tag-file"), "TAG:FILE", "only reads with a value of the tag that FILE lists"),
    (("-s",), "SEED.FRAC", "keep a fraction of the templates; the integer part is the seed"),
    (("--subsample",), "FRAC", "keep a fraction of the templates"),
    (("--subsample-seed",), "N", "seed of --subsample"),
    (("-x", "--remove-tag"), "TAG,…", "remove tags; ^TAG,…: all others"),
    (("--keep-tag",), "TAG,…", "keep only these tags"),
    (("--add-flags",), "FLAG", "set FLAG bits"),
    (("--remove-flags",), "FLAG", "clear FLAG bits"),
    (("-p", "--unmap"), None, "mark reads that do not pass the filters as unmapped, instead of leaving them out"),
    (("-z", "--sanitize"), "WHAT,…", "correct inconsistent fields, as samtools does"),
)  # fmt: skip
_IGNORED = ("-S", "-M", "--use-index", "--no-PG")
_EXPLAINED = {
    "-P": "mates can lie anywhere; list the names of the reads, and give the list to -N",
    "--fetch-pairs": "mates can lie anywhere; list the names of the reads, and give the list to -N",
    "-U": "run a second query for them, with the opposite filter: -e '!(…)'",
    "--unoutput": "run a second query for them, with the opposite filter: -e '!(…)'",
}


def add_view_options(arguments: argparse.ArgumentParser) -> None:
    """Add the options, without names that the command uses for other options. `passed_on` evaluates them."""
    group = arguments.add_argument_group("more options of samtools view, performed by samtools")
    for (dest, *more), metavar, description in PASSED:
        names = [name for name in (dest, *more) if name not in arguments._option_string_actions]
        if metavar is None:
            group.add_argument(*names, dest=dest, action="store_true", help=description)
        else:
            group.add_argument(*names, dest=dest, action="append", metavar=metavar, help=description)
    for name in _IGNORED:
        arguments.add_argument(name, action="store_true", help=argparse.SUPPRESS)
    explain(arguments, _EXPLAINED)


def files_given(args: Any) -> list[str]:
    """Return the paths of the files that the options name."""
    given = [
        (metavar, str(value))
        for (name, *_), metavar, _ in PASSED
        if metavar in ("FILE", "TAG:FILE")
        for value in getattr(args, name) or ()
    ]
    return [_path_in(metavar, value)[1] for metavar, value in given]


def _path_in(metavar: str, value: str) -> tuple[str, str]:
    """Split the value of an option that names a file into the text before the path, and the path."""
    if metavar == "TAG:FILE":
        tag, colon, path = value.partition(":")
        return tag + colon, path
    path = value.removeprefix("^")
    return value.removesuffix(path), path


def _as_samtools_finds_it(metavar: str, value: str) -> str:
    """Return the value of an option for samtools.

    Standard input becomes another descriptor, because samtools reads the records from its own.
    """
    if metavar not in ("FILE", "TAG:FILE"):
        return value
    before, path = _path_in(metavar, value)
    if not take(path):
        return value
    return before + _inherited(0)


def _inherited(descriptor: int) -> str:
    """Return the path at which samtools finds an open file; samtools inherits a copy of the descriptor."""
    copy = os.dup(descriptor)
    os.set_inheritable(copy, True)
    return f"/dev/fd/{copy}"


def intervals_passed_on(bed: str, references: Any) -> str:
    """Return the value of samtools' -L: the path of a temporary file with the intervals of a BED file, as we read them.

    Raises UsageError.
    """
    import tempfile

    from bams3 import temporary
    from bams3.bam.header import as_bytes
    from bams3.bam.regions import read_bed

    names = [as_bytes(name) for name, _ in references]
    with tempfile.TemporaryFile(dir=temporary.folder()) as file:
        for reference_id, start, end in read_bed(bed, references):
            file.write(b"%s\t%d\t%d\n" % (names[reference_id], start, end))
        file.seek(0)
        return _inherited(file.fileno())


def passed_on(args: Any) -> list[str]:
    """Return the arguments to pass on to samtools.

    With `-p`, the result for a read depends on all filters, so those of `add_filters` are passed on, too. With `-R`,
    `-r` adds a read group to its list. Repeated options are passed on repeatedly, because samtools has a rule for each
    of them. Standard input as a file is passed on, too.
    """
    chosen = []
    if getattr(args, "-p"):
        chosen += ["-f", str(args.require_flags), "-F", str(args.exclude_flags), "-q", str(args.min_MQ)]
        chosen += ["-e", args.filter] if args.filter is not None else []
    if getattr(args, "-p") or getattr(args, "-R"):
        chosen += [word for group in args.read_group or () for word in ("-r", group)]
    for (name, *_), metavar, _ in PASSED:
        given = getattr(args, name)
        if name == "-p" and args.count:  # then only reads that pass are counted
            continue
        if metavar is None:
            chosen += [name] if given else []
        else:
            chosen += [
                word for value in given or () for word in (name, _as_samtools_finds_it(metavar, value))
            ]
    return chosen
