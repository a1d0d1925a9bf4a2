"""Checks for sample names that would conflict with other names."""

import re
from collections.abc import Collection, Mapping

from bams3.workflow.errors import ConfigurationError

# Endings of files of a sample that are next to the folders of samples.
_ENDING = re.compile(r"\.bam(\.bai|\.csi)?|\.bw|\.mosdepth\.[a-z.]+\.txt|\.[a-z-]+\.bed\.gz(\.csi)?")


def check_names(lines: Mapping[str, int], path: str, columns: Collection[str] = ()) -> None:
    """Raise ConfigurationError for a sample that has the name of another sample's file, or of a column of the matrices.

    `lines`: the line of each sample in the sheet at `path`. `columns`: the columns of the matrices that are not
    samples.
    """
    for name, line in lines.items():
        where = f"{path}:{line}: sample {name}"
        if name in columns:
            raise ConfigurationError(
                f"{where}: the matrices of the cohort have a column with that name; rename the sample"
            )
        for dot in (found.start() for found in re.finditer(r"\.", name)):
            if name[:dot] in lines and _ENDING.fullmatch(name, dot):
                raise ConfigurationError(
                    f"{where}: a file of sample {name[:dot]} has that name; rename the sample"
                )
