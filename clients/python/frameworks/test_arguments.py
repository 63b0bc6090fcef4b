"""A tool runs with what was decided, also where its own types change values. No installation: the guard allows everything."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import date
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from loops import LOOPS, Stage
from pydantic import AfterValidator

from bailiwick.point import Allowed

Play = Callable[[Stage], list[str]]
RAN: list[tuple[int, date]] = []
SAID = {"iban": "DE02120300000000202051"}


class Everything:
    """Allows each call. What it hands over is a copy of the question in JSON, as a guard does, and the answer loses its text."""

    def run(self, _: str, arguments: Any, effect: Callable[[Any], Any], *__: Any) -> Allowed[Any]:
        return Allowed("dec_1", "call_1", effect(json.loads(json.dumps(arguments))))

    async def run_async(self, _: str, arguments: Any, effect: Callable[[Any], Awaitable[Any]], *__: Any) -> Allowed[Any]:
        return Allowed("dec_1", "call_1", await effect(json.loads(json.dumps(arguments))))


class Hiding(Everything):
    async def run_async(self, _: str, arguments: Any, effect: Callable[[Any], Awaitable[Any]], *__: Any) -> Allowed[Any]:
        await effect(json.loads(json.dumps(arguments)))
        return Allowed("dec_1", "call_1", {"iban": "[hidden]"})


def pay(euros: Annotated[int, AfterValidator(lambda euros: euros * 100)], on: date) -> str:
    """Pays so many cents."""
    RAN.append((euros, on))
    return "paid"


@pytest.mark.parametrize("play", LOOPS)
def test_a_tools_own_validator_changes_a_value_once(play: Play) -> None:
    RAN.clear()
    play(Stage(Everything(), [pay], [("pay", {"euros": 5, "on": "2026-11-29"})]))  # type: ignore[arg-type]
    # Strands leaves the validators of a function out.
    assert RAN == [(5 if play.__name__ == "strands" else 500, date(2026, 11, 29))]


@pytest.mark.parametrize("raw", [SAID, json.dumps(SAID)])
def test_agent_framework_gives_no_model_what_is_hidden_in_a_result_that_it_did_not_parse(raw: Any) -> None:
    from bailiwick.adapters.agent_framework import GuardTools

    context: Any = SimpleNamespace(function=SimpleNamespace(name="read"), arguments={}, result=None)

    async def call_next() -> None:
        context.result = raw

    asyncio.run(GuardTools(Hiding()).process(context, call_next))  # type: ignore[arg-type]
    assert context.result == {"iban": "[hidden]"}
