"""Microsoft Agent Framework: `Agent(client=…, tools=[…], middleware=[…, GuardTools(guard)])`. Name it last: the last one stands next to the
tool. Tools that the model's provider runs do not pass here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any, cast

from agent_framework import Content, FunctionInvocationContext, FunctionMiddleware
from pydantic_core import to_jsonable_python

from ..in_process import ToolGuard, words_of
from ..refusal import Refusal


class GuardTools(FunctionMiddleware):
    def __init__(self, guard: ToolGuard) -> None:
        self._guard = guard

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        # In the types of the tool, where no other code can change it. The framework validates the JSON that was decided once more, and a
        # validator that changes a value would change it again.
        arguments = deepcopy(context.arguments)

        async def act(_: dict[str, Any]) -> Any:
            context.arguments = arguments
            await call_next()
            return _plain(context.result)

        found = await self._guard.run_async(context.function.name, to_jsonable_python(arguments), act)
        if isinstance(found, Refusal):
            context.result = words_of(found)
        elif found.result != _plain(context.result):
            is_text = isinstance(context.result, list)
            context.result = [Content.from_text(each) for each in found.result] if is_text else found.result


def _plain(result: Any) -> Any:
    """The texts of an answer: obligations cannot be kept in what is not text, and such an answer is then withheld."""
    texts = cast("list[Any]", result)
    is_text = isinstance(cast("object", result), list) and all(isinstance(each, Content) and each.type == "text" for each in texts)
    return [each.text for each in texts] if is_text else result
