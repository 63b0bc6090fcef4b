"""The decision point, as this enforcement point speaks to it: bounded waits, bounded answers, no redirects."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx

from ._exchange import Answer, Connecting, Lost, Request, send
from ._json import member, to_json
from ._jws import random_id, sign
from .errors import BailiwickError
from .keys import SigningKey

_AGAIN_AFTER = (0.05, 0.25)
_ASSERTION_SECONDS = 60
#: An assertion is used again while it has this long to live, so that the decision point verifies one instead of hundreds.
_MARGIN = 15
_UNKNOWN_FOR = 5.0


class Clients:
    """Connections of their own for decisions, for calls that go on, and for outcomes: however many decisions wait, a call that goes on is
    asked about, because it would be cut otherwise."""

    def __init__(self, connecting: Connecting) -> None:
        # A decision has a thread of its own, so threads bound these.
        self.decisions = connecting.client(most_connections=None)
        self.open_calls, self.outcomes = connecting.client(), connecting.client()

    def of(self, path: str) -> httpx.Client:
        return {"/v1/open-calls": self.open_calls, "/v1/outcomes": self.outcomes}.get(path, self.decisions)

    def close(self) -> None:
        for each in (self.decisions, self.open_calls, self.outcomes):
            each.close()


class Pdp:
    def __init__(self, clients: Clients, *, id: str, instance: str, key: SigningKey, url: str, timeout: float) -> None:
        self.id, self.instance, self.url, self.timeout = id, instance, url, timeout
        self._clients, self._key = clients, key
        self._assertion, self._until = "", 0.0
        self._lock = threading.Lock()
        self._unknown_at: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the decision point knew this point when it last answered. A "no" holds for a few seconds, so that a point that is
        registered meanwhile finds out."""
        return self._unknown_at is None or time.monotonic() - self._unknown_at >= _UNKNOWN_FOR

    def call(self, method: str, path: str, body: Any = None, *, timeout: float | None = None) -> tuple[Answer, Any]:
        """An answer and its JSON. Raises `pdp_unavailable` for none that can be used."""
        try:
            return self._call(method, path, body, timeout or self.timeout)
        except BailiwickError:
            raise BailiwickError("pdp_unavailable") from None

    def call_again(self, path: str, body: Any) -> tuple[Answer, Any]:
        """Like `call`, and again if the connection was lost, at most twice and within the time of one answer: only for what gives the
        same answer when it is repeated."""
        deadline = time.monotonic() + self.timeout
        for pause in (*_AGAIN_AFTER, None):
            left = deadline - time.monotonic()
            try:
                return self._call("POST", path, body, max(left, 0.01))
            except Lost:
                if pause is None or time.monotonic() + pause >= deadline:
                    break
                time.sleep(pause)
            except BailiwickError:
                break
        raise BailiwickError("pdp_unavailable")

    def _call(self, method: str, path: str, body: Any, timeout: float) -> tuple[Answer, Any]:
        headers = {} if body is None else {"authorization": f"Bearer {self._current()}", "content-type": "application/json"}
        data = None if body is None else to_json(body).encode()
        answer = send(self._clients.of(path), Request(method, f"{self.url}{path}", headers, data), timeout)
        found = answer.json()
        if body is not None:
            is_known = answer.status != 401 or member(found, "code") != "caller_unauthenticated"
            self._unknown_at = None if is_known else time.monotonic()
        return answer, found

    def _current(self) -> str:
        with self._lock:
            now = time.time()
            # After a clock is set back, an assertion from the future must not be kept.
            if not self._until - _ASSERTION_SECONDS <= now < self._until - _MARGIN:
                iat = int(now)
                claims = {"iss": self.id, "sub": self.id, "aud": self.url, "iat": iat, "exp": iat + _ASSERTION_SECONDS}
                claims |= {"jti": random_id(), "instance": self.instance}
                self._assertion, self._until = sign("bailiwick-caller+jwt", claims, self._key), iat + _ASSERTION_SECONDS
            return self._assertion
