"""What an effect reports of itself, and how one is held, cancelled and given up."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import threading
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import anyio

from ._json import JsonObject, member, text_of
from ._jws import claims_unverified
from .refusal import Refusal

if TYPE_CHECKING:
    from .point import Permitted

_COST = {"amount": re.compile(r"(0|[1-9][0-9]{0,20})(\.[0-9]{1,6})?"), "currency": re.compile(r"[A-Z]{3}")}
_STATUSES = ("succeeded", "failed", "unknown")
#: Decisions that may wait here: one caller's, and all.
_MOST_OF_ONE, _MOST_OF_ALL = 64, 1024


@dataclass(frozen=True)
class Effect:
    """What an effect reports of itself."""

    status: Literal["succeeded", "failed", "unknown"] = "succeeded"
    egress_bytes: int | None = None
    http_status: int | None = None
    #: `{"amount": "12.50", "currency": "EUR"}`
    cost: Mapping[str, str] | None = None
    detail_hash: str | None = None
    cut: str | None = None

    def members(self) -> JsonObject:
        """Raises ValueError for what no outcome can hold: the decision point would refuse it for good, and the outcome be missing."""
        is_count = self.egress_bytes is None or (type(self.egress_bytes) is int and self.egress_bytes >= 0)
        is_status = self.http_status is None or (type(self.http_status) is int and 100 <= self.http_status <= 599)
        cost = {} if self.cost is None else dict(self.cost)
        is_cost = not cost or (set(cost) == set(_COST) and all(form.fullmatch(cost[name]) for name, form in _COST.items()))
        is_hash = self.detail_hash is None or re.fullmatch(r"[A-Za-z0-9_-]{43}", self.detail_hash) is not None
        is_reason = self.cut is None or re.fullmatch(r"(?=.{1,64}$)[a-z]+(_[a-z]+)*", self.cut) is not None
        if self.status not in _STATUSES or not (is_count and is_status and is_cost and is_hash and is_reason):
            raise ValueError
        return {name: value for name, value in (vars(self) | {"cost": cost or None}).items() if value is not None}


class Handover:
    """A decision on its way from its thread to a task that may be cancelled: exactly one of the two has it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Permitted | Refusal | None = None
        self._is_abandoned = False

    def give(self, found: Permitted | Refusal) -> bool:
        with self._lock:
            self._found = found
            return not self._is_abandoned

    def abandon(self) -> Permitted | Refusal | None:
        with self._lock:
            self._is_abandoned = True
            return self._found


def cancel_soon(loop: asyncio.AbstractEventLoop, scope: anyio.CancelScope) -> None:
    try:
        loop.call_soon_threadsafe(scope.cancel)
    except RuntimeError:  # the loop is closed, and with it the call
        return


def is_work(result: object) -> bool:
    """What runs only once it is awaited or iterated over."""
    return inspect.isawaitable(result) or isinstance(result, (Iterator, AsyncIterator))


def give_up(result: object) -> None:
    """Ends a coroutine or a generator, so that nothing of it runs later, and a task, as far as it can be."""
    for name in ("cancel", "close"):
        end = getattr(result, name, None)
        if callable(end):
            with contextlib.suppress(Exception):
                end()
            return


def is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Shares:
    """How many decisions wait for each caller, by the key that its credential claims. One must not take all threads and connections."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def one_of(self, credential: str | None) -> Generator[bool, None, None]:
        """Whether there is room for one more."""
        claims: Any = claims_unverified(credential or "")
        of = text_of(member(member(claims, "cnf"), "jkt")) or text_of(member(claims, "sub")) or ""
        with self._lock:
            own = self._waiting.get(of, 0)
            has_room = own < _MOST_OF_ONE and sum(self._waiting.values()) < _MOST_OF_ALL
            if has_room:
                self._waiting[of] = own + 1
        try:
            yield has_room
        finally:
            if has_room:
                with self._lock:
                    self._waiting[of] -= 1
                    if self._waiting[of] == 0:
                        del self._waiting[of]
