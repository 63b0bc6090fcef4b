"""OpenAI Agents SDK: `Agent(tools=guarded(guard, [read, adjust]))`.

It stands around the tool, not in `tool_input_guardrails`: a guardrail ends before the tool begins, so it cannot report what happened, and
an agent's `input_guardrails` run beside the tools. Guard every function tool. Hosted tools, MCP servers and handoffs do not pass here: a
tool that is not a function is refused, and MCP servers belong behind the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from agents import FunctionTool, Tool
from agents.tool import maybe_invoke_function_tool_failure_error_function as told_to_model
from agents.tool_context import ToolContext

from .._json import parse_json, to_json
from ..in_process import ToolGuard, words_of
from ..refusal import Refusal


def guarded(guard: ToolGuard, tools: Sequence[Tool]) -> list[Tool]:
    """The same tools, each of whose calls is decided. Raises TypeError for a tool that runs elsewhere."""
    return [_guarded(guard, each) for each in tools]


def _guarded(guard: ToolGuard, tool: Tool) -> FunctionTool:
    if not isinstance(tool, FunctionTool):
        raise TypeError(f"{tool.name} does not run in this process, and cannot be guarded here")
    # The SDK turns an error into a text for the model. It must not do so before the outcome is known.
    inner = replace(tool, _failure_error_function=None, _use_default_failure_error_function=False)

    async def invoke(context: ToolContext[Any], text: str) -> Any:
        try:
            arguments = parse_json(text or "{}")
            if not isinstance(arguments, dict):
                return words_of(Refusal("request_malformed"))
            decided = cast("dict[str, Any]", arguments)
            found = await guard.run_async(tool.name, decided, lambda it: inner.on_invoke_tool(context, to_json(it)))
        except Exception as error:
            said = await told_to_model(function_tool=tool, context=context, error=error)
            if said is None:
                raise
            return said
        return words_of(found) if isinstance(found, Refusal) else found.result

    return replace(tool, on_invoke_tool=invoke)
