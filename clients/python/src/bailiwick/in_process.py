"""Tools that run in the agent's own process: each call is decided, run once, and reported. The adapters for frameworks stand on this.

It is not enforcement: code in the same process can call a tool directly, and can read the keys of the point. Outcomes therefore say
`enforced_by: in_process`. What an agent must not be able to do belongs behind an API, the gateway or the sidecar.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, closing
from typing import Any, TypeVar

import httpx

from ._codes import ERRORS, REASONS
from ._json import JsonObject, to_json
from .action import Action, tool
from .agent import Agent
from .errors import BailiwickError
from .httpx import Auth
from .point import Allowed, Call, Effect, EnforcementPoint, Permitted
from .presented import read_presented
from .refusal import Refusal

R = TypeVar("R")
Describe = Callable[[R], Effect]


class ToolGuard:
    """Asks about each call of a tool, as the agent, under one grant. Safe to use from several threads and event loops."""

    def __init__(self, agent: Agent, grant: str, point: EnforcementPoint, *, server: str, address: str) -> None:
        """`grant`: the id of a grant or of an approved request, or a signed delegation. The tool `read` is the resource
        `<server>/read`. `address`: one of the registered addresses of `point`. The point is made with `in_process=True`."""
        if not point.is_in_process:
            raise BailiwickError("config_invalid", "a point in the agent's own process is made with in_process=True")
        self._agent, self._grant, self._point, self._server, self._address = agent, grant, point, server, address

    def run(
        self, name: str, arguments: Mapping[str, Any], effect: Callable[[JsonObject], R], describe: Describe[R] | None = None
    ) -> Allowed[R] | Refusal:
        """Runs `effect` once, with the arguments that were decided: with nothing else. A denial is a value, and means that nothing was
        executed; so does a decision point or an issuer that is away. Raises what `effect` raises, and `answer_withheld`."""
        call = _Call(self._action(name, arguments))
        try:
            with closing(self._conversation(call.action).sync_auth_flow(self._request())) as flow:
                request = next(flow)
                while True:
                    found = self._point.guard(
                        call.asked(request), lambda it: call.held(effect(call.arguments(it))), call.describing(describe)
                    )
                    try:
                        request = flow.send(_answer(found))
                    except StopIteration:
                        return call.plain(found)
        except BailiwickError as error:
            if call.has_begun:
                raise
            return Refusal(error.code)

    async def run_async(
        self,
        name: str,
        arguments: Mapping[str, Any],
        effect: Callable[[JsonObject], Awaitable[R]],
        describe: Describe[R] | None = None,
    ) -> Allowed[R] | Refusal:
        """As `run`, in asyncio. If the grant ends while the effect runs, the effect is cancelled, and `stream_cut` is raised."""
        call = _Call(self._action(name, arguments))

        async def act(permitted: Permitted) -> Any:
            return call.held(await effect(call.arguments(permitted)))

        try:
            async with aclosing(self._conversation(call.action).async_auth_flow(self._request())) as flow:
                request = await anext(flow)
                while True:
                    found = await self._point.guard_async(call.asked(request), act, call.describing(describe))
                    try:
                        request = await flow.asend(_answer(found))
                    except StopAsyncIteration:
                        return call.plain(found)
        except BailiwickError as error:
            if call.has_begun:
                raise
            return Refusal(error.code)

    def _action(self, name: str, arguments: Mapping[str, Any]) -> Action:
        return Action("tools/call", tool(f"{self._server}/{name}"), arguments)

    def _conversation(self, action: Action) -> Auth:
        """As with an API: the credential, its renewal, nonces, and the agent's signature under this very action."""
        return Auth(self._agent, self._grant, action=lambda _: action)

    def _request(self) -> httpx.Request:
        return httpx.Request("POST", self._address)


def words_of(refusal: Refusal) -> str:
    """What the model reads, so that it can ask for what it needs, or do something else."""
    known = REASONS.get(refusal.reason)
    said = known.remedy if known is not None else ERRORS[refusal.reason].title if refusal.reason in ERRORS else "It is not known why."
    return f"DENIED ({refusal.reason}): this call was not executed. {said}"


class _Call:
    """One call of a tool, about which the point may be asked several times."""

    def __init__(self, action: Action) -> None:
        self.action = action
        self.has_begun = False
        self._is_text = False

    def asked(self, request: httpx.Request) -> Call:
        return Call(read_presented(request.method, str(request.url), request.headers.raw), self.action)

    def arguments(self, permitted: Permitted) -> JsonObject:
        self.has_begun = True
        return dict(permitted.action.properties)

    def held(self, result: Any) -> Any:
        """A text stands in a list, as MCP has it: it need be no JSON then, unless it looks like it or names a hidden field."""
        self._is_text = isinstance(result, str)
        return [result] if self._is_text else result

    def describing(self, describe: Describe[Any] | None) -> Describe[Any] | None:
        return None if describe is None else lambda it: describe(it[0] if self._is_text else it)

    def plain(self, found: Allowed[Any] | Refusal) -> Allowed[Any] | Refusal:
        if not self._is_text or isinstance(found, Refusal):
            return found
        return Allowed(found.decision_id, found.call_id, found.result[0])


def _answer(found: Allowed[Any] | Refusal) -> httpx.Response:
    """As an API would answer, for the agent's side of the conversation."""
    if isinstance(found, Allowed):
        return httpx.Response(200)
    fields = [*found.headers, (b"content-type", b"application/problem+json")]
    return httpx.Response(found.status, headers=fields, content=to_json(found.problem).encode())
