"""Locations of files: for bams3, which reads and writes them in place, and for Snakemake, which checks them."""

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
"""What identifies the content of a file."""


class Places:
    """The locations of the files of a run.

    `run`: what Snakemake knows about the run. `storage`: the object `storage` in a Snakefile. What is found out about a
    file is cached, so a run sees every file as it was at the beginning.
    """

    def __init__(self, run: Run, storage: Any = None) -> None:
        self.run, self._storage = run, storage
        self.stamp: Callable[[str], Identity] = cache(identity.stamp)
        """Returns the identity of alignments, whose size is needed elsewhere, too."""
        self.known: Callable[[str | None, Callable[[str], Identity]], Identity | None] = cache(self._known)
        """Returns the identity of a file, by a function of `identity`.

        The result is None if the file does not exist; if a rule makes it, because Snakemake then knows its jobs; and in
        processes other than the one that plans, which do not compare identities.
        """
        self.is_made: Callable[[str], bool] = cache(self._is_made)
        """Tells whether a rule of this workflow, or of one that uses it, makes a file."""

    def result(self, path: str) -> str:
        """Return where bams3 finds a result, `<results>/…`."""
        return self.located(self.run.result(path))

    def located(self, path: str) -> str:
        """Return where bams3 finds a file. Relative paths are below the prefix of Snakemake's default storage, if any.

        Snakemake warns about each path that begins with `./` or contains `//`, so both are removed.
        """
        if is_local(path):
            path = re.sub("/+", "/", path).removeprefix("./")
        below = self.run.prefix and is_local(path) and not os.path.isabs(path)
        return f"{self.run.prefix}/{path}" if below else path

    def in_place(self, path: str) -> Any:
        """Return a file that bams3 itself reads or writes in place, while Snakemake only checks it.

        The result is an empty list if Snakemake can't check the file because it is outside its default storage.
        """
        place = self.located(path)
        if is_local(place):
            return local(place)
        prefix = self.run.prefix
        if not prefix or place.split("://")[0] != prefix.split("://")[0]:
            return []
        return getattr(self._storage, self.run.provider)(place, retrieve=False)

    def result_in_place(self, path: str) -> Any:
        """Return a result, `<results>/…`, that bams3 itself writes in place; see `in_place`."""
        return self.in_place(self.run.result(path))

    def result_of_rule(self, path: str) -> Any:
        """Return a result, `<results>/…`, that Snakemake moves, for input functions that other workflows may call.

        It is located where this workflow has it. Snakemake would fill in the pathvars and the prefix of the calling
        rule.
        """
        place = self.result(path)
        return local(place) if is_local(place) else getattr(self._storage, self.run.provider)(place)

    def copied(self, path: str, advice: str = "check how it is written") -> Any:
        """Return a small input that is named in the config, which Snakemake copies to where the job runs."""
        place = self.located(path)
        check_name(path, f"config: {path}")
        self.check_there(path, f"config: {path}", advice)
        return local(place) if is_local(place) else self._storage(place)

    def check_there(self, path: str, where: str, advice: str = "check how it is written") -> None:
        """Raise ConfigurationError for a file that jobs could not read. In a module, another rule may still make it."""
        place = self.located(path)
        check_regular(place, where)
        if not self.run.plans or self.run.is_module:
            return
        if not self.known(path, self.stamp):
            raise ConfigurationError(f"{where}: no such file; {advice}")
        if is_local(place) and not os.access(place, os.R_OK):
            raise ConfigurationError(f"{where}: it can't be read; change its permissions")

    def stored(self, path: str, what: str) -> bytes | None:
        """Return the bytes of a small file that is named in the config; `what`: a hint for errors.

        The result is None if a rule has yet to make the file, and if only Snakemake can read it.
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
        """Return the bytes of a small file that may exist; None if it does not, and if only Snakemake can read it."""
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
    """Tell whether this is a path, and not a URI."""
    return "://" not in path


def check_name(path: str, where: str) -> None:
    """Raise ConfigurationError for a path that Snakemake would mistake for a pattern."""
    if found := re.search(r"[{}]|<\w+>", path):
        raise ConfigurationError(
            f"{where}: Snakemake does not allow {found[0]} in a path; rename the file, or use a symbolic link to it"
        )


def check_regular(path: str, where: str) -> None:
    """Raise ConfigurationError for a file such as a pipe, which only one of the jobs could read."""
    if is_local(path) and os.path.exists(path) and not os.path.isfile(path):
        raise ConfigurationError(
            f"{where}: not a regular file, but it is read more than once; use a regular file"
        )


def read(path: str, what: str) -> bytes:
    """Return the bytes of a small file at a path or URI. `what`: a hint for the error if it can't be read."""
    check_regular(path, path)
    try:
        place, name = open_object(path)
        return place.get(name)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; {what}") from None
    except Bams3Error as error:
        raise ConfigurationError(error) from None


def read_lines(path: str, what: str) -> list[str]:
    """Return the lines of a small text file, like `read`. Bytes that are not UTF-8 are preserved (surrogateescape)."""
    data = read(path, what).removeprefix(codecs.BOM_UTF8)
    return [line.decode(errors="surrogateescape") for line in data.splitlines()]
