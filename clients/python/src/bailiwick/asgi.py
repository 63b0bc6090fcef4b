"""A guard before an ASGI application: FastAPI, Starlette, Quart, or any other, under asyncio.

    app.add_middleware(Guard, point=point, base_url="https://invoices.example", routes={"POST /read": tool("invoices/read")})
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, urlsplit

from ._codes import ERRORS
from ._duties import redact_bytes
from ._json import to_json
from ._routes import Asked, Headers, Route, Routes, ToAction, is_json, values_of
from .action import Action, Resource
from .errors import BailiwickError
from .point import Call, Effect, EnforcementPoint, Permitted
from .presented import Presented, read_presented
from .refusal import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The most that is held back of an answer whose fields must be hidden, unless the decision says less.
_MOST_HELD = 8 * 1024 * 1024
_SECRETS = (b"authorization", b"dpop")
_NONE: Mapping[str, Any] = {}

__all__ = ["Asked", "Gate", "Guard", "Route", "ToAction"]


class Guard:
    """Lets a request through to the application only under a permit for exactly its action, and reports what came of it.

    `base_url` is the address that callers use and sign: configured, and never taken from a `Host` field. `routes` says which action a
    request is: `"POST /read"` or `"GET /invoices/{id}"`, with a `Resource` (then the action is `tools/call` with `Asked.arguments`) or a
    function that gives the action. It must name everything that the handler acts on: the decision covers nothing else. `open` lists
    what needs no permit, as `"GET /health"`. **Every other request is refused** (404 `route_unknown`), and so is every WebSocket.

    A name counts only in the place where the handler reads it. A request with GET, HEAD or DELETE has no body, and any other has no
    query, unless the route is a `Route` that declares all parameters of the query that its handler reads.

    Before FastAPI and Starlette, a request whose handler stands at another path than the route is refused too: `"GET /users/{id}"` does
    not let `GET /users/export` through. Other frameworks cannot be asked: there, list the handlers beside a parameter as routes.

    The handler finds what was decided in `scope["bailiwick"]` (`Permitted`), and no credential in its header fields.
    """

    def __init__(
        self,
        app: App,
        *,
        point: EnforcementPoint,
        base_url: str,
        routes: Mapping[str, ToAction | Route],
        open: Iterable[str] = (),
        most_bytes: int | None = None,
        answer_seconds: int | None = None,
        longest_body: int = 1_048_576,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BailiwickError("config_invalid", "base_url")
        self._app, self._point = app, point
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._routes = Routes(routes, open)
        self._most_bytes, self._answer_seconds, self._longest_body = most_bytes, answer_seconds, longest_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            # A permit is for one call. What flows through a socket would have none.
            await receive()
            return await send({"type": "websocket.close", "code": 1008})
        if self._routes.is_open(scope, self._app):
            return await self._app(scope, receive, send)
        found = self._routes.find(scope, self._app)
        if found is not None:
            return await self._guard(scope, receive, send, *found)
        await _answer(send, _problem("route_unknown"))

    async def _guard(
        self, scope: Scope, receive: Receive, send: Send, route: Route, parameters: Mapping[str, str]
    ) -> None:
        path, to_action = scope["path"], route.to_action
        try:
            body = await self._body(receive)
            if body is None:
                return
            shown = self._presented(scope)
            query = scope["query_string"].decode("ascii")
            asked = Asked(scope["method"], path, query, parameters, list(scope["headers"]), body, route.query)
            asked.check_places()
            action = Action("tools/call", to_action, asked.arguments) if isinstance(to_action, Resource) else to_action(asked)
            call = Call(shown, action, self._most_bytes, self._answer_seconds)
            action.text  # what has no canonical form is refused here
        except BailiwickError as error:
            if error.code.startswith(("credential_", "proof_")):
                return await _refuse(send, Refusal(error.code))
            return await _answer(send, _problem(error.code if error.code in ERRORS else "request_malformed"))
        except UnicodeDecodeError:
            return await _answer(send, _problem("request_malformed"))
        gates: list[Gate] = []

        async def effect(permitted: Permitted) -> None:
            gate = Gate(send, permitted)
            gates.append(gate)
            headers: Headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _SECRETS]
            inner: Scope = {**scope, "headers": headers, "extensions": _NONE, "bailiwick": permitted}
            try:
                await self._app(inner, _replayed(body, receive), gate.send)
            except Exception:
                # The action was done, and only its answer may not leave.
                if gate.withheld is None:
                    raise
            gate.check_whole()

        def describe(_: None) -> Effect:
            gate = gates[0]
            status = gate.status or 500
            return Effect("succeeded" if status < 400 else "failed", gate.sent, status if 100 <= status < 600 else None)

        try:
            guarded = await self._point.guard_async(call, effect, describe, holds_answer=True)
        except BailiwickError as error:
            if not gates or error.code != "stream_cut" or gates[0].has_begun:
                raise
            return await _answer(send, _problem("stream_cut", executed=True), gates[0].decision)
        if isinstance(guarded, Refusal):
            await _refuse(send, guarded)
        elif gates[0].withheld is not None:
            # A part has left: the server ends the connection, so that it is not taken for the whole.
            if gates[0].has_begun:
                raise gates[0].withheld
            await _answer(send, _problem("answer_withheld", executed=True), gates[0].decision)

    def _presented(self, scope: Scope) -> Presented:
        raw = scope.get("raw_path")
        path = raw.decode("ascii") if isinstance(raw, bytes) else quote(scope["path"], safe="/:@!$&'()*+,;=~-._")
        # An absolute target would bring the caller's own host.
        if not path.startswith("/"):
            raise BailiwickError("request_malformed", "the request target is no path")
        return read_presented(scope["method"], f"{self._origin}{path.partition('?')[0]}", scope["headers"])

    async def _body(self, receive: Receive) -> bytes | None:
        """None if the caller is gone."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if len(body) > self._longest_body:
                raise BailiwickError("body_too_large")
            if not message.get("more_body", False):
                return bytes(body)


class Gate:
    """Between a handler's answer and the wire: held whole where fields must be hidden, and cut off at its limit, together with its
    connection, so that the part that arrived is not taken for the whole."""

    def __init__(self, send: Send, permitted: Permitted) -> None:
        self._send, self._permitted = send, permitted
        self._start: Message | None = None
        self._held = bytearray()
        self._is_whole = False
        self.decision = [(b"bailiwick-decision-id", permitted.decision_id.encode("ascii"))]
        self.has_begun = False
        self.sent = 0
        #: The handler's status, even if its answer was withheld.
        self.status: int | None = None
        #: Why the answer may not leave, or not further.
        self.withheld: BailiwickError | None = None

    async def send(self, message: Message) -> None:
        self._permitted.check()
        if self.withheld is not None:
            raise self.withheld
        try:
            await self._pass_on(message)
        except BailiwickError as error:
            if error.code == "answer_withheld":
                self.withheld = error
            raise

    async def _pass_on(self, message: Message) -> None:
        owed = self._permitted.owed
        if message["type"] == "http.response.start" and self._start is None:
            self._start = {**message, "headers": [*message.get("headers", []), *self.decision]}
            self.status = message["status"]
            if owed.most_bytes is not None and self._announced() > owed.most_bytes:
                raise BailiwickError("answer_withheld", "longer than its limit")
            return
        if message["type"] != "http.response.body" or self._start is None or self._is_whole:
            raise BailiwickError("answer_withheld", "an answer in another form")
        chunk, self._is_whole = bytes(message.get("body", b"")), not message.get("more_body", False)
        if owed.redact:
            if chunk and not self._is_plain_json():
                raise BailiwickError("answer_withheld", "no plain JSON")
            self._held += chunk
            if len(self._held) > (owed.most_bytes or _MOST_HELD):
                raise BailiwickError("answer_withheld", "longer than its limit")
            if not self._is_whole:
                return
            chunk = self._shown(bytes(self._held))
        if owed.most_bytes is not None and self.sent + len(chunk) > owed.most_bytes:
            raise BailiwickError("answer_withheld", "longer than its limit")
        await self._begin(len(chunk) if owed.redact else None)
        self.sent += len(chunk)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": not self._is_whole})

    def check_whole(self) -> None:
        """A handler that ends without an answer has failed."""
        if self.withheld is None and (self._start is None or not self._is_whole):
            raise BailiwickError("internal", "the handler gave no whole answer")

    @property
    def _headers(self) -> Headers:
        return [] if self._start is None else self._start["headers"]

    async def _begin(self, length: int | None) -> None:
        if self.has_begun or self._start is None:
            return
        self.has_begun = True
        start = self._start
        if length is not None:
            headers = [(name, value) for name, value in self._headers if name.lower() not in (b"content-length", b"etag")]
            start = {**start, "headers": [*headers, (b"content-length", str(length).encode("ascii"))]}
        await self._send(start)

    def _announced(self) -> int:
        values = values_of(self._headers, b"content-length")
        return int(values[0]) if values and values[0].isdigit() else 0

    def _is_plain_json(self) -> bool:
        kinds = values_of(self._headers, b"content-type")
        return len(kinds) == 1 and is_json(kinds[0]) and not values_of(self._headers, b"content-encoding")

    def _shown(self, body: bytes) -> bytes:
        if not body:
            return body
        try:
            return redact_bytes(body, self._permitted.owed)
        except (BailiwickError, ValueError, TypeError, RecursionError):
            raise BailiwickError("answer_withheld", "it cannot be read for certain") from None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The very bytes that were decided, once; after them only the caller's departure is of interest."""
    is_given = False

    async def replayed() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _problem(code: str, **more: Any) -> dict[str, Any]:
    kind = ERRORS[code]
    return {"type": f"urn:bailiwick:error:{code}", "title": kind.title, "status": kind.status, "code": code} | more


async def _refuse(send: Send, refusal: Refusal) -> None:
    await _answer(send, refusal.problem, refusal.headers)


async def _answer(send: Send, problem: Mapping[str, Any], headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    body = to_json(problem).encode()
    own = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": problem["status"], "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})
