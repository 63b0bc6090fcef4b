"""Calls that go on: the decision point is asked about them, and each whose grant is over is cut."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from ._json import member, text_of
from ._pdp import Pdp
from .errors import BailiwickError

#: From this age on a call is asked about; most are over before that. In seconds, as all here.
_YOUNG = 0.3
_WAIT_MS = 500
_SLACK = 1.0
_PAUSE = 0.1
_MOST = 10_000


class CallLife:
    """One call, from its permit to its outcome."""

    def __init__(self, decision_id: str, within: float | None) -> None:
        self.decision_id = decision_id
        #: Why the call must end before its effect does: a reason of the decision point, or of this point itself.
        self.cut_reason: str | None = None
        self.began_at = self.confirmed_at = time.monotonic()
        self.ends_at = None if within is None else self.began_at + within
        self._on_cut: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.has_begun = False
        self._is_over = False

    def on_cut(self, callback: Callable[[], None]) -> None:
        """Called once, in another thread; at once if the call is cut already."""
        with self._lock:
            if self.cut_reason is None:
                self._on_cut.append(callback)
                return
        callback()

    def cut(self, why: str) -> None:
        with self._lock:
            if self.cut_reason is not None or self._is_over:
                return
            self.cut_reason = why
            callbacks, self._on_cut = self._on_cut, []
        for callback in callbacks:
            callback()

    def may_begin(self, until: float) -> bool:
        """Whether the effect may begin: not once the call was cut or ended, nor after its permit is over."""
        with self._lock:
            self.has_begun = self.cut_reason is None and not self._is_over and time.time() < until
            return self.has_begun

    def end(self) -> bool:
        """Whether it went on until now: exactly one of those that end a call reports it. No callback begins after this."""
        with self._lock:
            went_on = not self._is_over
            self._is_over = True
            self._on_cut = []
            return went_on


class OpenCalls:
    """One thread asks while calls go on, and another cuts those that nothing confirmed for too long, however long an answer takes."""

    def __init__(self, pdp: Pdp, most_silence: float) -> None:
        self._pdp, self._most_silence = pdp, most_silence
        self._open: set[CallLife] = set()
        self._changed = threading.Condition()
        self._is_closed = False
        for work in (self._ask_all, self._watch):
            threading.Thread(target=work, name="bailiwick open calls", daemon=True).start()

    def add(self, life: CallLife) -> None:
        with self._changed:
            self._open.add(life)
            is_closed = self._is_closed
            self._changed.notify_all()
        if is_closed:
            life.cut("point_closed")

    def remove(self, life: CallLife) -> None:
        with self._changed:
            self._open.discard(life)
            self._changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Until no call goes on, but not longer than this many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, timeout)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            lives = list(self._open)
            self._changed.notify_all()
        for life in lives:
            life.cut("point_closed")

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._open or self._is_closed)
                if self._is_closed:
                    return
                lives = list(self._open)
            now = time.monotonic()
            for life in lives:
                if life.ends_at is not None and life.ends_at <= now:
                    life.cut("deadline_exceeded")
                elif now - life.confirmed_at > self._most_silence:
                    life.cut("pdp_unavailable")
            time.sleep(_PAUSE)

    def _ask_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._open or self._is_closed)
                if self._is_closed:
                    return
                now = time.monotonic()
                old = [life for life in self._open if life.cut_reason is None and now - life.began_at >= _YOUNG]
            is_answered = bool(old)
            for at in range(0, len(old), _MOST):
                is_answered = self._ask(old[at : at + _MOST]) and is_answered
            if not is_answered:
                time.sleep(_PAUSE)

    def _ask(self, lives: list[CallLife]) -> bool:
        asked_at = time.monotonic()
        body = {"decisions": sorted({life.decision_id for life in lives}), "wait_ms": _WAIT_MS}
        try:
            answer, said = self._pdp.call("POST", "/v1/open-calls", body, timeout=_WAIT_MS / 1000 + _SLACK)
        except BailiwickError:
            return False
        # The decision point itself cannot know whether the calls stand.
        if member(said, "code") == "state_stale":
            for life in lives:
                life.cut("state_stale")
        over, unknown = member(said, "over"), member(said, "unknown")
        if answer.status != 200 or not isinstance(over, list) or not isinstance(unknown, list):
            return False
        ended = {member(each, "decision_id"): text_of(member(each, "reason")) for each in cast("list[Any]", over)}
        unsaid = set(map(str, cast("list[Any]", unknown)))
        for life in lives:
            if life.decision_id in ended:
                life.cut(ended[life.decision_id] or "internal")
            elif life.decision_id not in unsaid:
                life.confirmed_at = max(life.confirmed_at, asked_at)
        return True
