"""LangChain: `create_agent(model, tools, middleware=[…, GuardTools(guard)])`. Name it last: the last one stands next to the tool.

`wrap_tool_call` stands around the tool itself, so a call that is not allowed never reaches it. An `artifact` stays as it is: the model
does not see it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ToolCallRequest
from langchain.messages import ToolMessage
from langgraph.types import Command

from ..in_process import ToolGuard, words_of
from ..point import Allowed, Effect
from ..refusal import Refusal

Answer: TypeAlias = "ToolMessage | Command[Any]"


class GuardTools(AgentMiddleware[Any, Any]):
    def __init__(self, guard: ToolGuard) -> None:
        super().__init__()
        self._guard = guard

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Answer]) -> Answer:
        name, arguments, kept = request.tool_call["name"], request.tool_call["args"], list[Answer]()
        found = self._guard.run(name, arguments, lambda it: _kept(handler(_with(request, it)), kept), lambda _: _effect(kept[0]))
        return _answer(request, found, kept)

    async def awrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Answer]]) -> Answer:
        name, arguments, kept = request.tool_call["name"], request.tool_call["args"], list[Answer]()

        async def act(decided: dict[str, Any]) -> Any:
            return _kept(await handler(_with(request, decided)), kept)

        return _answer(request, await self._guard.run_async(name, arguments, act, lambda _: _effect(kept[0])), kept)


def _with(request: ToolCallRequest, decided: dict[str, Any]) -> ToolCallRequest:
    return request.override(tool_call={**request.tool_call, "args": decided})


def _kept(answer: Answer, kept: list[Answer]) -> Any:
    kept.append(answer)
    return answer.content if isinstance(answer, ToolMessage) else answer


def _effect(answer: Answer) -> Effect:
    return Effect("failed" if isinstance(answer, ToolMessage) and answer.status == "error" else "succeeded")


def _answer(request: ToolCallRequest, found: Allowed[Any] | Refusal, kept: list[Answer]) -> Answer:
    if isinstance(found, Refusal):
        return ToolMessage(words_of(found), tool_call_id=request.tool_call["id"], name=request.tool_call["name"], status="error")
    answer = kept[0]
    return answer.model_copy(update={"content": found.result}) if isinstance(answer, ToolMessage) else found.result
