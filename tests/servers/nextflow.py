"""Nextflow, from Maven Central."""

from pathlib import Path

from servers import script
from servers.jars import class_path

# What its launcher opens for it, since Java 17.
_OPENED = (
    "java.lang", "java.io", "java.nio", "java.net", "java.util", "java.util.concurrent.locks",
    "java.util.concurrent.atomic", "java.util.regex", "sun.nio.ch", "sun.nio.fs", "sun.net.www.protocol.http",
    "sun.net.www.protocol.https", "sun.net.www.protocol.ftp", "sun.net.www.protocol.file", "jdk.internal.misc",
    "jdk.internal.vm",
)  # fmt: skip


def nextflow(folder: Path) -> dict[str, str]:
    """Makes its command in a folder, for the PATH; the rest of its environment."""
    opened = " ".join(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED)
    run = f"{opened} -cp '{class_path('nextflow')}' nextflow.cli.Launcher"
    # The first run archives the classes that it loads; with these, the next ones take two thirds of the time.
    script(
        folder / "nextflow",
        f"kept='{folder}/classes.jsa'\n"
        '[ -e "$kept" ] && option=SharedArchiveFile || option=ArchiveClassesAtExit\n'
        f'exec java "-XX:$option=$kept" {run} "$@"',
    )
    return {"NXF_OFFLINE": "true", "NXF_HOME": str(folder / "home"), "NXF_ANSI_LOG": "false"}
