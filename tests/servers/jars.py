"""Programs in Java, by Maven from Maven Central: Hadoop, Nextflow, GATK. As a program, it fetches those it is given."""

import os
import subprocess
import sys
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

# Java programs of a test live for seconds: compiling them less, and trusting their classes, halves their time.
SHORT = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
HERE = Path(__file__).parent
KEPT = HERE.parent.parent / "build" / "jars"


def class_path(name: str) -> str:
    """Of the dependencies in NAME.xml, which are fetched once. Raises CalledProcessError where Maven fails."""
    pom, folder = _places(name)
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


def is_fetched(name: str) -> bool:
    """Whether `class_path` fetches nothing."""
    return _places(name)[1].exists()


def _places(name: str) -> tuple[Path, Path]:
    pom = HERE / f"{name}.xml"
    return pom, KEPT / f"{name}-{zlib.crc32(pom.read_bytes()):08x}"


if __name__ == "__main__":
    for each in sys.argv[1:]:
        class_path(each)
