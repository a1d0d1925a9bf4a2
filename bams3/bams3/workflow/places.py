"""Where files are: for bams3, which reads and writes them in place, and for Snakemake, which looks at them."""

import codecs
import os
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from snakemake.io import local

from bams3.errors import Bams3Error
from bams3.storage import open_object
from bams3.workflow import identity
from bams3.workflow.errors import ConfigurationError
from bams3.workflow.internals import Run

Identity = tuple[int, str]
"""What a file is known by."""


class Places:
    """The places of a run: `run`, what Snakemake knows of it, and `storage`, what Snakemake calls so in a Snakefile.

    What is asked of a file is remembered: a run sees each as it is in the beginning.
    """

    def __init__(self, run: Run, storage: Any = None) -> None:
        self.run, self._storage = run, storage
        self.stamp: Callable[[str], Identity] = cache(identity.stamp)
        """What alignments are known by, whose size is asked for too."""
        self.known: Callable[[str | None, Callable[[str], Identity]], Identity | None] = cache(self._known)
        """What a file is known by, a function of `identity`. None of a file that is not there, or that a rule makes,
        whose jobs Snakemake knows; and where it is not compared: only the process that plans does that.
        """
        self.is_made: Callable[[str], bool] = cache(self._is_made)
        """Does a rule make the file, of this workflow or of one that uses it?"""

    def result(self, path: str) -> str:
        """Where bams3 finds a result, `<results>/…`."""
        return self.located(self.run.result(path))

    def located(self, path: str) -> str:
        """Where bams3 finds a file: relative paths are below the prefix of Snakemake's default storage, if any.

        Snakemake warns of each path with `./` before or `//` within it; both are left out.
        """
        if is_local(path):
            path = re.sub("/+", "/", path).removeprefix("./")
        below = self.run.prefix and is_local(path) and not os.path.isabs(path)
        return f"{self.run.prefix}/{path}" if below else path

    def in_place(self, path: str) -> Any:
        """A file that bams3 itself reads or writes where it is, while Snakemake only looks at it.

        An empty list where Snakemake can't: outside its default storage.
        """
        place = self.located(path)
        if is_local(place):
            return local(place)
        prefix = self.run.prefix
        if not prefix or place.split("://")[0] != prefix.split("://")[0]:
            return []
        return getattr(self._storage, self.run.provider)(place, retrieve=False)

    def result_in_place(self, path: str) -> Any:
        """A result, `<results>/…`, that bams3 itself writes; otherwise as `in_place`."""
        return self.in_place(self.run.result(path))

    def result_of_rule(self, path: str) -> Any:
        """A result, `<results>/…`, that Snakemake moves, for input functions that other workflows may call: it is
        where this workflow has it, while Snakemake would fill in pathvars and prefix of the rule that asks.
        """
        place = self.result(path)
        return local(place) if is_local(place) else getattr(self._storage, self.run.provider)(place)

    def copied(self, path: str, advice: str = "check how it is written") -> Any:
        """A small input that is named in the config: Snakemake copies it to where the job is."""
        place = self.located(path)
        check_name(path, f"config: {path}")
        self.check_there(path, f"config: {path}", advice)
        return local(place) if is_local(place) else self._storage(place)

    def check_there(self, path: str, where: str, advice: str = "check how it is written") -> None:
        """Raises ConfigurationError for a file that jobs could not read. Of a module, another rule may make it."""
        place = self.located(path)
        check_regular(place, where)
        if not self.run.plans or self.run.is_module:
            return
        if not self.known(path, self.stamp):
            raise ConfigurationError(f"{where}: no such file; {advice}")
        if is_local(place) and not os.access(place, os.R_OK):
            raise ConfigurationError(f"{where}: it can't be read; change its permissions")

    def stored(self, path: str, what: str) -> bytes | None:
        """The bytes of a small file that the config names; `what` it is. None where a rule has yet to make it, and
        where only Snakemake can read it.
        """
        place = self.located(path)
        check_regular(place, f"config: {path}")
        if self.is_made(path):
            return None
        try:
            objects, name = open_object(place)
            return objects.get(name)
        except FileNotFoundError:
            if self.run.is_module:
                return None
            raise ConfigurationError(f"{path}: no such file; {what}") from None
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}; {what}") from None
        except Bams3Error as error:
            if is_local(place):
                raise ConfigurationError(error) from None
            return None

    def stored_if_there(self, path: str) -> bytes | None:
        """The bytes of a small file that may be there; None if it isn't, and where only Snakemake can read it."""
        place = self.located(path)
        if is_local(place):
            return read(place, "it is not needed") if os.path.isfile(place) else None
        try:
            objects, name = open_object(place)
            return objects.get(name)
        except (OSError, Bams3Error):
            return None

    def _known(self, path: str | None, by: Callable[[str], Identity]) -> Identity | None:
        if not path or not self.run.plans or self.is_made(path):
            return None
        try:
            return by(self.located(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from None
        except Bams3Error as error:
            raise ConfigurationError(error) from None

    def _is_made(self, path: str) -> bool:
        file = self.in_place(path)
        return bool(file) and self.run.makes(file)


def is_local(path: str) -> bool:
    """Is it a path, and not a URI?"""
    return "://" not in path


def check_name(path: str, where: str) -> None:
    """Raises ConfigurationError for a path that Snakemake would take for a pattern."""
    if found := re.search(r"[{}]|<\w+>", path):
        raise ConfigurationError(
            f"{where}: Snakemake does not allow {found[0]} in a path; rename the file, or use a symbolic link to it"
        )


def check_regular(path: str, where: str) -> None:
    """Raises ConfigurationError for a pipe, say, which only one of the jobs could read."""
    if is_local(path) and os.path.exists(path) and not os.path.isfile(path):
        raise ConfigurationError(
            f"{where}: not a regular file, but it is read more than once; use a regular file"
        )


def read(path: str, what: str) -> bytes:
    """The bytes of a small file, a path or a URI; `what` it is, for the error if it can't be read."""
    check_regular(path, path)
    try:
        place, name = open_object(path)
        return place.get(name)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; {what}") from None
    except Bams3Error as error:
        raise ConfigurationError(error) from None


def read_lines(path: str, what: str) -> list[str]:
    """The lines of a small text file, in which bytes that are not UTF-8 are kept; otherwise as `read`."""
    data = read(path, what).removeprefix(codecs.BOM_UTF8)
    return [line.decode(errors="surrogateescape") for line in data.splitlines()]
