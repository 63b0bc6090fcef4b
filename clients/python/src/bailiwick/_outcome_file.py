"""Undelivered outcomes, in a file that one process has, and that survives a power cut."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Protocol, cast

from ._json import member, parse_json, to_json
from ._jws import is_compact
from .errors import BailiwickError


class OutcomeStore(Protocol):
    def open(self) -> list[str]:
        """Takes the store for this process, and gives the outcomes that an earlier one left. Raises `outcomes_locked`."""
        ...

    def save(self, pending: list[str]) -> None:
        """Returns once they survive a power cut."""
        ...

    def close(self) -> None: ...


class OutcomeFile:
    """The file of one process: each replica needs its own. The lock is the operating system's, on `<path>.lock`, as that of the
    TypeScript SDK is: it ends with the process, however that dies. The file's form is the same too."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock: sqlite3.Connection | None = None

    def open(self) -> list[str]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(f"{self.path}.lock", timeout=0, isolation_level=None, check_same_thread=False)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            lock.close()
            raise BailiwickError("outcomes_locked", str(self.path)) from None
        try:
            left = self._read()
        except BaseException:
            lock.close()
            raise
        self._lock = lock
        return left

    def _read(self) -> list[str]:
        try:
            state: Any = parse_json(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, BailiwickError):
            raise BailiwickError("config_invalid", "the outcome file is not readable") from None
        pending = member(state, "pending")
        is_known = member(state, "v") == 2 and set(state) == {"v", "pending"}
        if not is_known or not isinstance(pending, list) or not all(is_compact(each) for each in cast("list[Any]", pending)):
            raise BailiwickError("config_invalid", "the outcome file is not readable")
        return cast("list[str]", pending)

    def save(self, pending: list[str]) -> None:
        """A new file in place of the old one: after a failure, the one or the other is there, whole."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(to_json({"v": 2, "pending": pending}).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class OutcomesInMemory:
    """For tests, and for processes whose undelivered outcomes may be lost."""

    def __init__(self) -> None:
        self.pending: list[str] = []

    def open(self) -> list[str]:
        return list(self.pending)

    def save(self, pending: list[str]) -> None:
        self.pending = list(pending)

    def close(self) -> None:
        pass
