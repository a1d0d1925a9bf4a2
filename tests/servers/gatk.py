"""GATK and htsjdk, from Maven Central: `.ci/run` fetches them, since they are large."""

from pathlib import Path

from servers import script
from servers.jars import class_path


def gatk(folder: Path) -> None:
    """Make two commands in a folder, for the PATH: `gatk`, and `htsjdk SCRIPT ARGUMENT …`, a script in JavaScript."""
    classes = class_path("gatk")
    script(folder / "gatk", f"exec java -cp '{classes}' org.broadinstitute.hellbender.Main \"$@\"")
    shell = "org.openjdk.nashorn.tools.Shell"
    script(folder / "htsjdk", f'exec java -cp \'{classes}\' {shell} "$1" -- "${{@:2}}"')
