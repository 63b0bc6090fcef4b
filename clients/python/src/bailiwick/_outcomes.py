"""Outcomes: numbered, chained and signed, made durable, and delivered until each has its last answer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, cast

import httpx

from ._exchange import Answer, Request, send
from ._json import JsonObject, member, sha256, text_of, to_json
from ._jws import sign, signed_part
from ._outcome_file import OutcomeStore
from ._pdp import Pdp
from .errors import BailiwickError
from .keys import SigningKey

Obstacle = Literal["caller_unauthenticated", "outcomes_unverified", "queue_full"]
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
#: If the decision point still does not know a decision after this long, it never was its own.
_UNKNOWN_FOR = 60.0
_GRACE = 2.0
_MOST, _MOST_BYTES = 128, 262_144 - 1024
_REFUSALS = (400, 404, 409, 413, 415, 422)


@dataclass
class _Pending:
    jws: str
    #: Its number in this start; None if an earlier one signed it.
    sequence: int | None
    due: float = 0.0
    pause: float = _FIRST_PAUSE
    unknown_since: float | None = None
    is_unverified: bool = False
    is_told: bool = False


@dataclass
class _State:
    pending: dict[str, _Pending] = field(default_factory=lambda: cast("dict[str, _Pending]", {}))
    sequence: int = 0
    previous: str | None = None
    #: The last number that is durable.
    saved: int = 0
    #: Whether the store lists outcomes that have their last answer.
    is_stale: bool = False
    is_stopped: bool = False


class Reporter:
    """One thread delivers, in lists, one after the other. An outcome leaves only after it is durable."""

    def __init__(
        self,
        pdp: Pdp,
        store: OutcomeStore,
        key: SigningKey,
        *,
        installation: str,
        most_pending: int,
        always: JsonObject,
        on_problem: Callable[[BailiwickError], None],
        evidence: Evidence | None,
    ) -> None:
        self._pdp, self._store, self._key, self._installation = pdp, store, key, installation
        self._most_pending, self._on_problem, self._evidence = most_pending, on_problem, evidence
        #: What each outcome says.
        self._always = always
        self._state = _State()
        self._changed = threading.Condition()
        for jws in store.open():
            self._state.pending[jws] = _Pending(jws, None)
        self._thread = threading.Thread(target=self._deliver_all, name="bailiwick outcomes", daemon=True)
        self._thread.start()

    @property
    def obstacle(self) -> Literal["outcomes_unverified", "queue_full"] | None:
        """Why no further call may start: the decision point could not learn what happens."""
        with self._changed:
            waiting = list(self._state.pending.values())
            if any(each.is_unverified and each.sequence is not None for each in waiting):
                return "outcomes_unverified"
            # What an earlier start signed with a key that was replaced may wait for ever, and must not stop this one.
            count = sum(1 for each in waiting if not (each.is_unverified and each.sequence is None))
            span = self._state.sequence - self._answered()
            return "queue_full" if count >= self._most_pending or span >= self._most_pending else None

    def _answered(self) -> int:
        """All outcomes of this start up to this number have their last answer."""
        own = (each.sequence for each in self._state.pending.values() if each.sequence is not None)
        return next(own, self._state.sequence + 1) - 1

    def report(self, said: JsonObject) -> None:
        """Signs now, in the order of the calls, and delivers later."""
        with self._changed:
            state = self._state
            if state.is_stopped:
                # The store is another's by now.
                self._problem("outcomes_locked", "an outcome came after the end, and is not kept")
                return
            sequence = state.sequence + 1
            at = datetime.now(timezone.utc)
            outcome = {
                **said,
                **self._always,
                "installation": self._installation,
                "enforcement_point": self._pdp.id,
                "instance": self._pdp.instance,
                "sequence": sequence,
                "answered": self._answered(),
                "at": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
            }
            if state.previous is not None:
                outcome["previous"] = state.previous
            jws = sign("bailiwick-outcome+jws", outcome, self._key)
            state.sequence, state.previous = sequence, sha256(signed_part(jws))
            state.pending[jws] = _Pending(jws, sequence)
            self._changed.notify_all()

    def delivered(self, timeout: float) -> bool:
        """Whether everything has its last answer, at the latest after this many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._state.pending, timeout)

    def close(self) -> None:
        """Gives the decision point a moment; what it does not take is kept for the next start."""
        if not self._thread.is_alive():
            return
        self.delivered(_GRACE)
        with self._changed:
            self._state.is_stopped = True
            self._changed.notify_all()
        self._thread.join()
        if self._evidence is not None:
            self._evidence.close()
        self._store.close()

    def _deliver_all(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self._next_due())
                is_stopped = self._state.is_stopped
            if not self._save(is_stopped):
                if is_stopped:
                    return
                pause = self._rest(pause)
                continue
            if is_stopped:
                return
            with self._changed:
                batch = self._take()
            if not batch:
                continue
            answers = _deliver(self._pdp, [each.jws for each in batch])
            done = [each for each, answer in zip(batch, answers) if self._settle(each, answer)]
            self._tell(batch, done)
            # The decision point itself is away or has too much to do.
            pause = self._rest(pause) if None in answers else _FIRST_PAUSE

    def _has_work(self) -> bool:
        state = self._state
        return state.saved < state.sequence or state.is_stale or state.is_stopped or self._is_due()

    def _is_due(self) -> bool:
        now = time.monotonic()
        return any(each.due <= now for each in self._state.pending.values())

    def _next_due(self) -> float | None:
        due = min((each.due for each in self._state.pending.values()), default=None)
        return None if due is None else max(due - time.monotonic(), 0.0)

    def _rest(self, pause: float) -> float:
        with self._changed:
            self._changed.wait_for(lambda: self._state.is_stopped, pause)
        return min(pause * 2, _LONGEST_PAUSE)

    def _save(self, is_stopped: bool) -> bool:
        """Before an outcome leaves; what was delivered is taken out of the store when there is nothing else to do."""
        with self._changed:
            state = self._state
            is_idle = is_stopped or not self._is_due()
            if state.saved == state.sequence and not (state.is_stale and is_idle):
                return True
            pending, sequence = list(state.pending), state.sequence
            state.is_stale = False
        try:
            self._store.save(pending)
        except Exception:
            with self._changed:
                self._state.is_stale = True
            self._problem("internal", "the outcome store cannot be written")
            return False
        self._state.saved = sequence
        return True

    def _take(self) -> list[_Pending]:
        """Only what is durable."""
        now, length, taken = time.monotonic(), 0, list[_Pending]()
        for each in self._state.pending.values():
            if each.due > now or (each.sequence or 0) > self._state.saved:
                continue
            length += len(each.jws) + 3
            if len(taken) == _MOST or (length > _MOST_BYTES and taken):
                break
            taken.append(each)
        return taken

    def _settle(self, each: _Pending, answer: tuple[int, Any] | None) -> bool:
        """Removes an outcome that has its last answer, and whether it did."""
        now = time.monotonic()
        with self._changed:
            if answer is None:
                return False
            status, body = answer
            is_new_problem = status == 401 and not each.is_unverified
            if status == 401:
                each.is_unverified = True
            if status == 404:
                each.unknown_since = now if each.unknown_since is None else each.unknown_since
            is_unknown = status == 404 and now - (each.unknown_since or now) < _UNKNOWN_FOR
            is_done = 200 <= status < 300
            is_refused = status in _REFUSALS and not is_unknown
            if is_done or is_refused:
                self._state.pending.pop(each.jws, None)
                self._state.is_stale = True
                self._changed.notify_all()
            else:
                each.due = now + min(each.pause, _LONGEST_PAUSE)
                each.pause *= 2
        if is_refused or is_new_problem:
            detail = "an outcome was refused for good" if is_refused else "the decision point cannot verify an outcome: it is kept"
            self._problem(text_of(member(body, "code")) or "internal", detail)
        return is_done or is_refused

    def _tell(self, batch: Sequence[_Pending], done: Sequence[_Pending]) -> None:
        """Evidence gets each outcome too, so that a decision point cannot withhold one: answered, or still waiting."""
        if self._evidence is None:
            return
        self._evidence.tell([each.jws for each in done], True)
        waiting = [each for each in batch if not any(each is other for other in done) and not each.is_told]
        for each in waiting:
            each.is_told = True
        self._evidence.tell([each.jws for each in waiting], False)

    def _problem(self, code: str, detail: str) -> None:
        try:
            self._on_problem(BailiwickError(code, detail))
        except Exception:  # the caller's own; it must not end the delivery
            return


def _deliver(pdp: Pdp, outcomes: Sequence[str]) -> list[tuple[int, Any] | None]:
    """The status and body of the answer to each, as a request of its own would have had them; None where there was no answer."""
    if len(outcomes) == 1:
        return [_deliver_one(pdp, outcomes[0])]
    answer, body = _ask(pdp, {"outcomes": list(outcomes)})
    results = member(body, "results")
    if answer is not None and answer.status == 200 and isinstance(results, list):
        found = cast("list[Any]", results)
        if len(found) == len(outcomes) and all(type(member(each, "status")) is int for each in found):
            return [(each["status"], each) for each in found]
    if answer is None or answer.status not in _REFUSALS:
        return [None] * len(outcomes)
    # The list as a whole is refused: one outcome must not hold up the others.
    return [_deliver_one(pdp, each) for each in outcomes]


def _deliver_one(pdp: Pdp, outcome: str) -> tuple[int, Any] | None:
    answer, body = _ask(pdp, {"outcome": outcome})
    if answer is None:
        return None
    is_unverified = answer.status == 401 and member(body, "code") not in (None, "caller_unauthenticated", "internal")
    is_answer = answer.status in _REFUSALS or is_unverified or 200 <= answer.status < 300
    return (answer.status, body) if is_answer else None


def _ask(pdp: Pdp, body: JsonObject) -> tuple[Answer | None, Any]:
    try:
        return pdp.call("POST", "/v1/outcomes", body)
    except BailiwickError:
        return None, None


class Evidence:
    """Tells evidence of outcomes, after everything else and with few attempts: nothing waits for it."""

    def __init__(self, client: httpx.Client, url: str, timeout: float, on_problem: Callable[[BailiwickError], None]) -> None:
        self._client, self._url, self._timeout, self._on_problem = client, f"{url.rstrip('/')}/log/outcomes", timeout, on_problem
        self._queue: queue.Queue[bytes | None] = queue.Queue(64)
        self._thread = threading.Thread(target=self._tell_all, name="bailiwick evidence", daemon=True)
        self._thread.start()

    def tell(self, outcomes: Sequence[str], answered: bool) -> None:
        if not outcomes:
            return
        try:
            self._queue.put_nowait(to_json({"outcomes": list(outcomes), "answered": answered}).encode())
        except queue.Full:
            self._untold()

    def close(self) -> None:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(self._timeout)

    def _tell_all(self) -> None:
        while (body := self._queue.get()) is not None:
            if not self._tell(body):
                self._untold()

    def _tell(self, body: bytes) -> bool:
        for _ in range(3):
            try:
                request = Request("POST", self._url, {"content-type": "application/json"}, body)
                answer = send(self._client, request, self._timeout)
                if answer.status == 200:
                    results = cast("list[Any]", member(answer.json(), "results") or [])
                    return all(type(member(each, "status")) is int and each["status"] < 300 for each in results)
                if answer.status < 500 and answer.status != 429:
                    return False
            except BailiwickError:
                continue
        return False

    def _untold(self) -> None:
        try:
            self._on_problem(BailiwickError("service_unreachable", "evidence was not told of outcomes"))
        except Exception:
            return
