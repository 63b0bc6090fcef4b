"""Each framework's own loop, with a model that plays a script: it calls one tool after the other, and then ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bailiwick.in_process import ToolGuard

Script = Sequence[tuple[str, dict[str, Any]]]


@dataclass
class Stage:
    """What the model calls, what there is to call, and what happens before the model's turn with this number."""

    guard: ToolGuard
    tools: Sequence[Callable[..., Any]]
    script: Script
    before: Callable[[int], None] = lambda _: None

    def turn(self, number: int) -> tuple[str, dict[str, Any]] | None:
        self.before(number)
        return self.script[number] if number < len(self.script) else None


def langchain(stage: Stage) -> list[str]:
    agent, said = _langchain(stage)
    return said(agent.invoke({"messages": [("user", "go")]}))


def langchain_async(stage: Stage) -> list[str]:
    agent, said = _langchain(stage)
    return said(asyncio.run(agent.ainvoke({"messages": [("user", "go")]})))


def _langchain(stage: Stage) -> tuple[Any, Callable[[Any], list[str]]]:
    from langchain.agents import create_agent
    from langchain.messages import ToolMessage

    from bailiwick.adapters.langchain import GuardTools

    agent = create_agent(langchain_model(stage), list(stage.tools), middleware=[GuardTools(stage.guard)])
    return agent, lambda ended: [each.text for each in ended["messages"] if isinstance(each, ToolMessage)]


def langchain_model(stage: Stage) -> Any:
    from langchain.messages import AIMessage
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.outputs import ChatGeneration, ChatResult

    class Played(BaseChatModel):
        _llm_type = "played"

        def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
            number = sum(isinstance(each, AIMessage) for each in messages)
            wanted = stage.turn(number)
            calls = [] if wanted is None else [{"name": wanted[0], "args": wanted[1], "id": f"call_{number}"}]
            return ChatResult(generations=[ChatGeneration(message=AIMessage("done" if wanted is None else "", tool_calls=calls))])

        def bind_tools(self, *_: Any, **__: Any) -> Any:
            return self

    return Played()


def openai_agents(stage: Stage) -> list[str]:
    from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
    from agents.items import ToolCallOutputItem
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    from bailiwick.adapters.openai_agents import guarded

    class Played(Model):
        number = 0

        async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
            wanted, number = stage.turn(self.number), self.number
            self.number += 1
            if wanted is None:
                text = ResponseOutputText(text="done", type="output_text", annotations=[])
                item: Any = ResponseOutputMessage(id="msg", content=[text], role="assistant", status="completed", type="message")
            else:
                text = json.dumps(wanted[1])
                item = ResponseFunctionToolCall(name=wanted[0], arguments=text, call_id=f"call_{number}", type="function_call")
            return ModelResponse(output=[item], usage=Usage(), response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
            raise NotImplementedError

    tools = guarded(stage.guard, [function_tool(each, strict_mode=False) for each in stage.tools])
    agent = Agent(name="played", model=Played(), tools=tools)
    ended = Runner.run_sync(agent, "go", run_config=RunConfig(tracing_disabled=True))
    return [str(each.output) for each in ended.new_items if isinstance(each, ToolCallOutputItem)]


def pydantic_ai(stage: Stage) -> list[str]:
    from pydantic_ai import Agent, FunctionToolset
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel

    from bailiwick.adapters.pydantic_ai import GuardedToolset

    def played(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        wanted = stage.turn(sum(isinstance(each, ModelResponse) for each in messages))
        return ModelResponse(parts=[TextPart("done") if wanted is None else ToolCallPart(wanted[0], wanted[1])])

    agent = Agent(FunctionModel(played), toolsets=[GuardedToolset(FunctionToolset(list(stage.tools)), stage.guard)])
    ended = agent.run_sync("go").all_messages()
    return [str(part.content) for each in ended for part in each.parts if isinstance(part, ToolReturnPart)]


def agent_framework(stage: Stage) -> list[str]:
    from agent_framework import Agent, BaseChatClient, ChatResponse, Content, FunctionInvocationLayer, Message, tool

    from bailiwick.adapters.agent_framework import GuardTools

    class Played(FunctionInvocationLayer[Any], BaseChatClient[Any]):
        number = 0

        async def _inner_get_response(self, **_: Any) -> ChatResponse:
            wanted, number = stage.turn(self.number), self.number
            self.number += 1
            call = None if wanted is None else Content.from_function_call(f"call_{number}", wanted[0], arguments=wanted[1])
            return ChatResponse(messages=[Message("assistant", [Content.from_text("done") if call is None else call])])

    made = [tool(each, approval_mode="never_require") for each in stage.tools]
    agent = Agent(client=Played(), tools=made, middleware=[GuardTools(stage.guard)])
    ended = asyncio.run(agent.run("go"))
    said = [part for each in ended.messages for part in each.contents if part.type == "function_result"]
    return [str(part.result) for part in said]


def strands(stage: Stage) -> list[str]:
    from strands import Agent, tool
    from strands.models import Model

    from bailiwick.adapters.strands import GuardTools

    class Played(Model):
        def update_config(self, **_: Any) -> None: ...

        def get_config(self) -> Any:
            return {}

        def structured_output(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

        async def stream(self, messages: Any, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
            number = sum(each["role"] == "assistant" for each in messages)
            wanted = stage.turn(number)
            yield {"messageStart": {"role": "assistant"}}
            if wanted is None:
                yield {"contentBlockDelta": {"delta": {"text": "done"}}}
            else:
                yield {"contentBlockStart": {"start": {"toolUse": {"name": wanted[0], "toolUseId": f"call_{number}"}}}}
                yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(wanted[1])}}}}
            yield {"contentBlockStop": {}}
            yield {"messageStop": {"stopReason": "end_turn" if wanted is None else "tool_use"}}

    agent = Agent(model=Played(), tools=[tool(each) for each in stage.tools], hooks=[GuardTools(stage.guard)], callback_handler=None)
    agent("go")
    blocks = [block["toolResult"] for each in agent.messages for block in each["content"] if "toolResult" in block]
    return [str(block["content"]) for block in blocks]


LOOPS: list[Callable[[Stage], list[str]]] = [langchain, langchain_async, openai_agents, pydantic_ai, agent_framework, strands]
