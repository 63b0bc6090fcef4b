"""Conversations as generators, so that the synchronous and the asynchronous SDK are the same code.

A conversation yields what it wants done (a request, a pause) and is sent what came of it. `run` and `run_async` carry it out.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import anyio
import httpx

from ._codes import ERRORS
from ._json import member, parse_json, text_of
from .errors import BailiwickError

T = TypeVar("T")
_LONGEST_ANSWER = 1_048_576


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=lambda: cast("dict[str, str]", {}))
    body: bytes | None = None
    #: For this answer, in seconds; None: as long as any other.
    timeout: float | None = None


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Progress:
    """What a caller may show a person while it waits."""

    value: Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def retry_after(self) -> float | None:
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdecimal() and 0 < int(text) <= 3600 else None

    def json(self) -> Any:
        """Strictly. None for an empty body, and for an error that a proxy answered in some other form. A success must be JSON."""
        if not self.body:
            return None
        try:
            return parse_json(self.body)
        except BailiwickError:
            if self.status >= 400:
                return None
            raise BailiwickError("answer_malformed", "not strict JSON") from None


Step = Request | Pause | Progress
Exchange = Generator[Step, "Answer | None", T]


def ask(request: Request) -> Exchange[Answer]:
    """Raises `service_unreachable` if no answer arrived, `answer_malformed` for one that is too long."""
    answer = yield request
    if answer is None:
        raise BailiwickError("invariant_broken", "a request without an answer")
    return answer


_STATUS_CODES = {
    400: "request_malformed",
    401: "caller_unauthenticated",
    403: "caller_forbidden",
    404: "access_request_unknown",
    413: "body_too_large",
    429: "rate_limited",
}


def failure(answer: Answer) -> BailiwickError:
    """The code of the answer's problem document if the table has it, otherwise one that stands for its status."""
    code = text_of(member(answer.json(), "code")) if answer.status >= 400 else None
    if code in ERRORS and code != "internal":
        return BailiwickError(code)
    fallback = "service_unready" if answer.status >= 500 else "answer_malformed"
    return BailiwickError(_STATUS_CODES.get(answer.status, fallback), f"status {answer.status}")


def pauses() -> Generator[float, None, None]:
    """Between two polls for the same thing, in seconds: each half as long again, up to 5."""
    seconds = 0.2
    while True:
        yield seconds
        seconds = min(seconds * 1.5, 5.0)


@dataclass(frozen=True)
class Connecting:
    """How services are reached. Redirects are never followed: they would carry a secret to another place."""

    timeout: float
    ssl_context: ssl.SSLContext | None = None
    transport: object = None

    def client(self, most_connections: int | None = 100) -> httpx.Client:
        limits = httpx.Limits(max_connections=most_connections, max_keepalive_connections=20)
        transport = self.transport if isinstance(self.transport, httpx.BaseTransport) else None
        verify = self.ssl_context or True
        return httpx.Client(timeout=self.timeout, limits=limits, verify=verify, transport=transport, follow_redirects=False)

    def async_client(self) -> httpx.AsyncClient:
        transport = self.transport if isinstance(self.transport, httpx.AsyncBaseTransport) else None
        verify = self.ssl_context or True
        return httpx.AsyncClient(timeout=self.timeout, verify=verify, transport=transport, follow_redirects=False)


class Lost(BailiwickError):
    """No answer arrived, or only a part of one; the time was not over."""


def _built(client: httpx.Client | httpx.AsyncClient, request: Request, timeout: float) -> httpx.Request:
    headers = {"accept": "application/json", "accept-encoding": "identity"} | request.headers
    return client.build_request(request.method, request.url, headers=headers, content=request.body, timeout=timeout)


def _unencoded(response: httpx.Response) -> bytes:
    """An answer in a coding that was not asked for could be longer than it looks."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BailiwickError("answer_malformed", "a content coding")
    return b""


def send(client: httpx.Client, request: Request, timeout: float) -> Answer:
    """One request. The time is looked at between the parts of an answer, so that a slow one does not go on for ever."""
    timeout = request.timeout or timeout
    deadline = time.monotonic() + timeout
    try:
        response = client.send(_built(client, request, timeout), stream=True)
        try:
            body = bytearray(_unencoded(response))
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _LONGEST_ANSWER:
                    raise BailiwickError("answer_malformed", "too long")
                if time.monotonic() > deadline:
                    raise BailiwickError("service_unreachable", "too slow")
        finally:
            response.close()
    except httpx.TimeoutException:
        raise BailiwickError("service_unreachable", "too slow") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Lost("service_unreachable") from None
    return Answer(response.status_code, response.headers, bytes(body))


async def send_async(client: httpx.AsyncClient, request: Request, timeout: float) -> Answer:
    timeout = request.timeout or timeout
    try:
        with anyio.fail_after(timeout):
            response = await client.send(_built(client, request, timeout), stream=True)
            try:
                body = bytearray(_unencoded(response))
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _LONGEST_ANSWER:
                        raise BailiwickError("answer_malformed", "too long")
            finally:
                await response.aclose()
    except (httpx.TimeoutException, TimeoutError):
        raise BailiwickError("service_unreachable", "too slow") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Lost("service_unreachable") from None
    return Answer(response.status_code, response.headers, bytes(body))


def run(
    exchange: Exchange[T],
    client: httpx.Client,
    timeout: float,
    progress: Callable[[Any], None] | None = None,
) -> T:
    try:
        step = next(exchange)
        while True:
            if isinstance(step, Progress):
                if progress is not None:
                    progress(step.value)
                step = exchange.send(None)
                continue
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                step = exchange.send(None)
                continue
            try:
                answer = send(client, step, timeout)
            except BailiwickError as error:
                step = exchange.throw(error)
            else:
                step = exchange.send(answer)
    except StopIteration as stop:
        return stop.value
    finally:
        exchange.close()


async def run_async(
    exchange: Exchange[T],
    client: httpx.AsyncClient,
    timeout: float,
    progress: Callable[[Any], None] | None = None,
) -> T:
    try:
        step = next(exchange)
        while True:
            if isinstance(step, Progress):
                if progress is not None:
                    progress(step.value)
                step = exchange.send(None)
                continue
            if isinstance(step, Pause):
                await anyio.sleep(step.seconds)
                step = exchange.send(None)
                continue
            try:
                answer = await send_async(client, step, timeout)
            except BailiwickError as error:
                step = exchange.throw(error)
            else:
                step = exchange.send(answer)
    except StopIteration as stop:
        return stop.value
    finally:
        exchange.close()


