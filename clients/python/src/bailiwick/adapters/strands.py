"""Strands: `Agent(model=…, tools=[…], hooks=[GuardTools(guard)])`.

The hook puts a guarded tool in place of the selected one, so the decision, the tool and its outcome are one. A hook that only sets
`cancel_tool` would decide before others change the arguments, and would not know what happened.
"""

from __future__ import annotations

from typing import Any, cast

from strands.hooks import BeforeToolCallEvent, HookProvider, HookRegistry
from strands.hooks.registry import HookOrder
from strands.types.events import ToolResultEvent
from strands.types.tools import AgentTool, ToolGenerator, ToolResult, ToolUse

from ..in_process import ToolGuard, words_of
from ..point import Effect
from ..refusal import Refusal


class GuardTools(HookProvider):
    def __init__(self, guard: ToolGuard) -> None:
        self._guard = guard

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        registry.add_callback(BeforeToolCallEvent, self._replace, order=HookOrder.SDK_LAST)

    def _replace(self, event: BeforeToolCallEvent[Any]) -> None:
        if event.selected_tool is not None:
            event.selected_tool = _Guarded(event.selected_tool, self._guard)


class _Guarded(AgentTool):
    def __init__(self, tool: AgentTool, guard: ToolGuard) -> None:
        super().__init__()
        self._tool, self._guard = tool, guard

    tool_name = property(lambda self: self._tool.tool_name)  # pyright: ignore[reportIncompatibleMethodOverride]
    tool_type = property(lambda self: self._tool.tool_type)  # pyright: ignore[reportIncompatibleMethodOverride]
    tool_spec = property(lambda self: self._tool.tool_spec)  # pyright: ignore[reportIncompatibleMethodOverride]

    async def stream(self, tool_use: ToolUse, invocation_state: dict[str, Any], **kwargs: Any) -> ToolGenerator:
        async def act(decided: dict[str, Any]) -> Any:
            result: Any = None
            async for event in self._tool.stream({**tool_use, "input": decided}, invocation_state, **kwargs):
                result = event.tool_result if isinstance(event, ToolResultEvent) else event
            if not isinstance(cast("object", result), dict) or "status" not in result:
                raise TypeError("a guarded tool ends with its result: it cannot interrupt the agent")
            return result

        found = await self._guard.run_async(self.tool_name, tool_use["input"], act, _effect)
        if isinstance(found, Refusal):
            said = ToolResult(toolUseId=tool_use["toolUseId"], status="error", content=[{"text": words_of(found)}])
            yield ToolResultEvent(said)
        else:
            yield ToolResultEvent(found.result)


def _effect(result: ToolResult) -> Effect:
    return Effect("failed" if result["status"] == "error" else "succeeded")
