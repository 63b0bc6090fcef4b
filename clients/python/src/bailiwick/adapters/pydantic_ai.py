"""Pydantic AI: `Agent(model, toolsets=[GuardedToolset(toolset, guard)])`.

Only the tools of that toolset pass here. Those of `@agent.tool` and `tools=[…]` do not: put them into a `FunctionToolset`.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.tools import AgentDepsT
from pydantic_ai.toolsets import WrapperToolset
from pydantic_ai.toolsets.abstract import ToolsetTool
from pydantic_core import to_jsonable_python

from ..in_process import ToolGuard, words_of
from ..refusal import Refusal


@dataclass
class GuardedToolset(WrapperToolset[AgentDepsT]):
    guard: ToolGuard

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        # In the types of the tool, where no other code can change it. Made of the JSON that was decided, it would be validated twice, and a
        # validator that changes a value would change it again.
        arguments = deepcopy(tool_args)

        async def act(_: dict[str, Any]) -> Any:
            return await self.wrapped.call_tool(name, arguments, ctx, tool)

        found = await self.guard.run_async(name, to_jsonable_python(arguments), act)
        return words_of(found) if isinstance(found, Refusal) else found.result
