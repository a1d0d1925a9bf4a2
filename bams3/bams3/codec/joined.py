"""Row groups that several contigs share. Their records are encoded as if they were on one contig (see `joint`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from bams3.codec import ENCODINGS, encoder
from bams3.codec.joint import Joint, mentioned, runs

Contigs = Sequence[Sequence[int]]
"""For each contig of a row group, its reference id followed by its zone map's values without `hot` and `cold`."""


def encode(
    block: Any, lengths: Sequence[int] | Mapping[int, int], level: int,
    encodings: Mapping[str, str] = ENCODINGS,
) -> tuple[dict[str, Any], list[tuple[int, ...]], list[int], list[str]]:  # fmt: skip
    """Encode a RecordBlock of placed records of several contigs.

    Parameters
    ----------
    block
        The RecordBlock.
    lengths
        Lengths of the references in bp, by reference id.
    level, encodings
        As in `encoder.encode`.

    Returns
    -------
    tuple
        Streams (name → bytes-like), the contigs (see `Contigs`), and the reference ids and read groups that the records
        mention.

    Raises
    ------
    SourceError
        For records that cannot be represented.
    """
    contigs = [run[:-1] for run in runs(block)]
    references = mentioned(block)
    joint = joint_of(contigs, references, lengths)
    streams, _, _, read_groups = encoder.encode(joint.joined(block), joint.reference_id, level, encodings)
    return streams, contigs, references, read_groups


def joint_of(
    contigs: Contigs, references: Sequence[int], lengths: Sequence[int] | Mapping[int, int]
) -> Joint:
    """The joined contig of a row group. `references`: ids of all references that its records mention, ascending."""
    return Joint(
        [contig[0] for contig in contigs], [contig[1] for contig in contigs],
        [lengths[contig[0]] for contig in contigs], references[-1] + 1,
    )  # fmt: skip
