"""Programs in Java, by Maven from Maven Central: Hadoop, Nextflow."""

import os
import subprocess
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
KEPT = HERE.parent.parent / "build" / "jars"


def class_path(name: str) -> str:
    """Of the dependencies in NAME.xml, which are fetched once. Raises CalledProcessError where Maven fails."""
    pom = HERE / f"{name}.xml"
    folder = KEPT / f"{name}-{zlib.crc32(pom.read_bytes()):08x}"
    if not folder.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=KEPT) as made:
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={made}/jars"]
            subprocess.run(["mvn", "--quiet", "--batch-mode", "--file", str(pom), *goal], check=True)
            try:
                os.rename(f"{made}/jars", folder)
            except OSError:  # another process was faster
                if not folder.exists():
                    raise
    return f"{folder}/*"
