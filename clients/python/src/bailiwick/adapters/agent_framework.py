"""Microsoft Agent Framework: `Agent(client=…, tools=[…], middleware=[…, GuardTools(guard)])`. Name it last: the last one stands next to the
tool. Tools that the model's provider runs do not pass here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from agent_framework import Content, FunctionInvocationContext, FunctionMiddleware
from pydantic_core import to_jsonable_python

from ..in_process import ToolGuard, words_of
from ..refusal import Refusal


class GuardTools(FunctionMiddleware):
    def __init__(self, guard: ToolGuard) -> None:
        self._guard = guard

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        async def act(decided: dict[str, Any]) -> Any:
            # The framework validates them again, and runs the tool with these.
            context.arguments = decided
            await call_next()
            return _plain(context.result)

        found = await self._guard.run_async(context.function.name, to_jsonable_python(context.arguments), act)
        if isinstance(found, Refusal):
            context.result = words_of(found)
        elif isinstance(context.result, list) and found.result != _plain(context.result):
            context.result = [Content.from_text(each) for each in found.result]


def _plain(result: Any) -> Any:
    """The texts of an answer: obligations cannot be kept in what is not text, and such an answer is then withheld."""
    is_text = isinstance(result, list) and all(isinstance(each, Content) and each.type == "text" for each in result)
    return [each.text for each in result] if is_text else result
