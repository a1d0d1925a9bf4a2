"""Compiles the kernels. All other settings are in pyproject.toml.

BAMS3_BOUNDS_CHECKS=1 makes the checked build: every memoryview index is verified at run time. BAMS3_SANITIZE=1 makes
the sanitized build: with gcc's AddressSanitizer and UndefinedBehaviorSanitizer, and with counts of the basic blocks
that run. BAMS3_COUNTED=1 makes the counted build, which is faster: indexes are verified, and blocks are counted.

Compiling takes most of the time that a fresh checkout needs. Each kernel is compiled with the optimisation level from
which its room benefits, except for kernels whose first line gives a lower level and the reason.
"""

import os
import re
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = "bams3"
SHARED = "bams3._memoryviews"  # Cython's own code for memoryviews, compiled once instead of in each kernel
LEVELS = {"alleles": "-O3", "codec": "-O3", "output": "-O3"}
"""The rooms that benefit from more than -O2: convert, pileup and alleles take 10 to 25 % less CPU time."""
LEVEL = re.compile("# Compiled with (-O[0-3]): ")
counted = os.environ.get("BAMS3_COUNTED") == "1"
checked = counted or os.environ.get("BAMS3_BOUNDS_CHECKS") == "1"
sanitized = os.environ.get("BAMS3_SANITIZE") == "1"
SANITIZERS = [
    "-fsanitize=address,undefined", "-fno-omit-frame-pointer",
    "-fno-sanitize=pointer-overflow,nonnull-attribute",  # empty arrays: Cython's own code clears them, too
]  # fmt: skip
COUNTS = "-fsanitize-coverage=trace-pc"
cores = os.cpu_count() or 1

# For each kernel that uses one module of its package `cpython`, Cython reads the whole package, which takes a third of
# its time. It finds this empty package first.
package = Path("build/declarations/cpython/__init__.pxd")
package.parent.mkdir(parents=True, exist_ok=True)
if not package.exists():
    package.touch()


def flags(path: Path) -> list[str]:
    """The compiler's options for a kernel."""
    if sanitized:
        return ["-O1", "-g", *SANITIZERS, COUNTS]
    if counted:
        return ["-O2", "-g0", COUNTS]
    if checked:
        return ["-Og", "-g0"]
    said = LEVEL.match(path.read_text())
    return [said[1] if said else LEVELS.get(path.parent.name, "-O2"), "-g0"]


class BuildKernels(build_ext):
    """Translates the kernels to C and compiles them, on all cores. Other commands run this file too, but need no C."""

    def finalize_options(self) -> None:
        super().finalize_options()
        # The build of an editable install ignores the options of setup.
        self.parallel = self.parallel or cores

    def build_extensions(self) -> None:
        translated = cythonize(
            self.extensions,
            force=self.force,
            build_dir="build/cython-checked" if checked else "build/cython",
            include_path=[str(package.parents[1]), SOURCES],
            shared_utility_qualified_name=SHARED,
            nthreads=cores,
            compiler_directives={
                "language_level": 3,
                "boundscheck": checked,
                "wraparound": False,
                "initializedcheck": checked,
                "cdivision": True,
                "freethreading_compatible": False,
                "binding": False,  # functions without attributes, and …
                "auto_pickle": False,  # … classes that are never pickled: less C to compile
            },
        )
        for extension, with_c in zip(self.extensions, translated, strict=True):
            extension.sources = with_c.sources
        super().build_extensions()


extensions = [
    Extension(
        ".".join(path.relative_to(SOURCES).with_suffix("").parts),
        [str(path)],
        include_dirs=[SOURCES],
        depends=[
            "setup.py",  # has the flags
            *(
                str(header)
                for folder in {path.parent, Path(SOURCES, "bams3")}
                for header in folder.glob("*.h")
            ),
        ],
        define_macros=[("CYTHON_CLINE_IN_TRACEBACK", "0")],  # less C to compile
        extra_compile_args=flags(path),
        extra_link_args=SANITIZERS if sanitized else [],
    )
    for path in sorted(Path(SOURCES).rglob("*.pyx"))
]
# It is one of the longest to compile, so it begins first.
extensions.insert(0, Extension(SHARED, [], extra_compile_args=["-O1", "-g0"]))

setup(ext_modules=extensions, cmdclass={"build_ext": BuildKernels})
