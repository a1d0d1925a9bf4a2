"""What a power cut may leave of a run: its writes and changes of folders are recorded, and states replayed.

What may be lost is what POSIX says: of a file, all that was written since it was last synced (a piece may be missing,
cut or zero); of a folder, all changes since it was synced. These are lost from some moment on, as a journal loses them,
or one by one; but never one whose name a later change, which is kept, needs.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

from faults.runs import Files
from faults.shim import EXCHANGED, KINDS

_ENTRY = struct.Struct("<4I2Q")
CREATE, WRITE, SYNC, RENAME, LINK, UNLINK, MKDIR, RMDIR, TRUNCATE = map(
    KINDS.index, ("create", "write", "sync", "rename", "link", "unlink", "mkdir", "rmdir", "truncate")
)

Name = tuple[int, str]
"""A folder's number, and a name in it."""


class Entry(NamedTuple):
    """A recorded call: its kind; the number (inode) of the file, and the offset or length; its path; what was written,
    or the other path."""

    kind: int
    inode: int
    offset: int
    path: str
    data: bytes


def entries_of(log: Path, root: Path) -> Iterator[Entry]:
    """What was recorded, with paths below `root`."""
    data = log.read_bytes()
    at = 0
    while at < len(data):
        kind, first, second, _, inode, offset = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size
        path, more = data[at : at + first], data[at + first : at + first + second]
        at += first + second
        relative = os.path.relpath(os.fsdecode(path), root)
        if kind in (RENAME, LINK, EXCHANGED):
            more = os.fsencode(os.path.relpath(os.fsdecode(more), root))
        yield Entry(kind, inode, offset, relative, more)


class Change(NamedTuple):
    """A change of folders: what names stand for then; None: nothing."""

    names: dict[Name, int | None]


class Write(NamedTuple):
    """A piece of a file; `data` None: the file is cut at `offset`."""

    offset: int
    data: bytes | None


@dataclass
class Disk:
    """What is on a disk for sure, and what may be."""

    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    kept_files: dict[int, bytearray] = field(default_factory=dict)
    kept_names: dict[Name, int] = field(default_factory=dict)
    folders: set[int] = field(default_factory=lambda: {0})
    writes: dict[int, list[Write]] = field(default_factory=dict)
    """By file, since it was synced."""
    changes: list[Change] = field(default_factory=list)
    """Since their folders were synced, in order."""
    live: dict[Name, int] = field(default_factory=dict)
    """Names as the system shows them now."""
    known: dict[int, int] = field(default_factory=dict)
    """Of an inode: which number it has here. The system may use an inode again."""

    def place(self, path: str) -> Name:
        """The folder, and the name in it."""
        *folders, name = path.split("/")
        number = 0
        for folder in folders:
            number = self.live[number, folder]
        return number, name

    @classmethod
    def of(cls, root: Path) -> Disk:
        """All that is below a folder, for sure."""
        disk = cls()
        for path in sorted(root.rglob("*")):
            disk._add(
                str(path.relative_to(root)), path.stat().st_ino, None if path.is_dir() else path.read_bytes()
            )
        return disk

    def _add(self, path: str, inode: int, data: bytes | None) -> None:
        number = next(self.numbers)
        self.live[self.place(path)] = self.kept_names[self.place(path)] = number
        self.known[inode] = number
        if data is None:
            self.folders.add(number)
        else:
            self.kept_files[number] = bytearray(data)

    def _change(self, names: dict[Name, int | None]) -> None:
        self.changes.append(Change(names))
        for name, number in names.items():
            if number is None:
                self.live.pop(name, None)
            else:
                self.live[name] = number

    def apply(self, entry: Entry) -> None:
        """Take what was recorded."""
        kind, place = entry.kind, self.place(entry.path) if entry.path != "." else (0, ".")
        if kind in (CREATE, MKDIR):
            number = next(self.numbers)
            if kind == CREATE:
                self.known[entry.inode] = number
                self.kept_files[number] = bytearray()
            else:
                self.folders.add(number)
            self._change({place: number})
        elif kind in (UNLINK, RMDIR):
            self._change({place: None})
        elif kind in (RENAME, LINK, EXCHANGED):
            other = self.place(os.fsdecode(entry.data))
            moved = self.live[place]
            here = {RENAME: None, LINK: moved, EXCHANGED: self.live.get(other)}[kind]
            self._change({other: moved, place: here})
        elif kind == SYNC:
            number = 0 if entry.path == "." else self.live.get(place, -1)
            if number in self.folders:
                self._sync_folder(number)
            elif entry.inode in self.known:
                self._sync_file(self.known[entry.inode])
        elif entry.inode in self.known:  # not of a file without a name
            data = entry.data if kind == WRITE else None
            self.writes.setdefault(self.known[entry.inode], []).append(Write(entry.offset, data))

    def _sync_file(self, number: int) -> None:
        for write in self.writes.pop(number, []):
            _write(self.kept_files[number], write)

    def _sync_folder(self, number: int) -> None:
        """A change of two folders is kept when either of them is synced; and what it needs is kept, too."""
        wanted = [
            i for i, change in enumerate(self.changes) if any(folder == number for folder, _ in change.names)
        ]
        kept = _with_needed(self.changes, set(wanted))
        for i in sorted(kept):
            _rename(self.kept_names, self.changes[i])
        self.changes = [change for i, change in enumerate(self.changes) if i not in kept]

    def after_a_cut(self, chance: random.Random) -> Files:
        """The files that may be there after a power cut now."""
        names = dict(self.kept_names)
        if chance.random() < 0.5:  # a journal
            kept = set(range(chance.randint(0, len(self.changes))))
        else:
            share = chance.choice((0.1, 0.5, 0.9))
            kept = _with_needed(
                self.changes, {i for i in range(len(self.changes)) if chance.random() < share}
            )
        for i in sorted(kept):
            _rename(names, self.changes[i])
        contents = {
            number: bytes(self._content(number, chance)) if self.writes.get(number) else bytes(data)
            for number, data in self.kept_files.items()
        }
        return self._listed(names, contents)

    def for_sure(self) -> Files:
        """The files if nothing is kept that may be lost."""
        return self._listed(
            self.kept_names, {number: bytes(data) for number, data in self.kept_files.items()}
        )

    def _content(self, number: int, chance: random.Random) -> bytearray:
        data = bytearray(self.kept_files[number])
        for write in self.writes[number]:
            fate = chance.choice(("kept", "lost", "cut", "zero"))
            if write.data is None or fate == "kept":
                if fate != "lost":
                    _write(data, write)
            elif fate == "cut":
                _write(data, Write(write.offset, write.data[: chance.randrange(len(write.data))]))
            elif fate == "zero":
                _write(data, Write(write.offset, bytes(len(write.data))))
        return data

    def _listed(self, names: dict[Name, int], contents: dict[int, bytes]) -> Files:
        below: dict[int, list[tuple[str, int]]] = {}
        for (folder, name), number in names.items():
            below.setdefault(folder, []).append((name, number))
        found: Files = {}
        waiting = [("", 0)]
        while waiting:
            path, folder = waiting.pop()
            for name, number in below.get(folder, []):
                if number in self.folders:
                    waiting.append((f"{path}{name}/", number))
                else:
                    found[f"{path}{name}"] = contents[number]
        return found


def _with_needed(changes: list[Change], kept: set[int]) -> set[int]:
    """Some changes, and the earlier ones whose names they share."""
    names: set[Name] = set()
    result = set()
    for i in range(len(changes) - 1, -1, -1):
        if i in kept or not names.isdisjoint(changes[i].names):
            result.add(i)
            names.update(changes[i].names)
    return result


def _rename(names: dict[Name, int], change: Change) -> None:
    for name, number in change.names.items():
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number


def _write(data: bytearray, write: Write) -> None:
    if write.data is None:
        data[write.offset :] = bytes(max(0, write.offset - len(data)))
        return
    if len(data) < write.offset:
        data.extend(bytes(write.offset - len(data)))
    data[write.offset : write.offset + len(write.data)] = write.data
