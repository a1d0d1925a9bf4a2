"""Names of samples that would be taken for something else."""

import re
from collections.abc import Collection, Mapping

from bams3.workflow.errors import ConfigurationError

# What the files of a sample that lie beside folders of samples end in.
_ENDING = re.compile(r"\.bam(\.bai|\.csi)?|\.mosdepth\.[a-z.]+\.txt|\.[a-z-]+\.bed\.gz(\.csi)?")


def check_names(lines: Mapping[str, int], path: str, columns: Collection[str] = ()) -> None:
    """Raises ConfigurationError for a sample that is called as a file of another one, or as a column of the matrices.

    `lines`: where each sample stands in the sheet at `path`; `columns`: those of the matrices that are not of samples.
    """
    for name, line in lines.items():
        where = f"{path}:{line}: sample {name}"
        if name in columns:
            raise ConfigurationError(
                f"{where}: the matrices of the cohort have a column of that name; call it otherwise"
            )
        for dot in (found.start() for found in re.finditer(r"\.", name)):
            if name[:dot] in lines and _ENDING.fullmatch(name, dot):
                raise ConfigurationError(
                    f"{where}: a file of sample {name[:dot]} has that name; call it otherwise"
                )
