"""Effects begin and end within their permit: when a point closes, when a call is cut early, and when work is left to be done."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fake_pdp import FakePdp, call

from bailiwick import Allowed, BailiwickError, Call, EnforcementPoint, Permitted, Presented, Refusal, tool
from bailiwick._json import to_base64url, to_json


def test_a_call_that_is_decided_while_its_point_closes_never_begins() -> None:
    pdp = FakePdp()
    deciding, go_on = threading.Event(), threading.Event()

    def slow(answer: Any) -> Any:
        deciding.set()
        go_on.wait(60)
        return answer

    pdp.answer = slow
    ran: list[int] = []

    async def effect(_: Permitted) -> None:
        ran.append(1)

    async def close_meanwhile(point: EnforcementPoint) -> Any:
        task = asyncio.create_task(point.guard_async(call(), effect))
        await asyncio.to_thread(deciding.wait)
        threading.Timer(0.1, go_on.set).start()
        point.close()
        return await task

    found = asyncio.run(close_meanwhile(pdp.point()))
    assert isinstance(found, Refusal)
    assert found.problem["code"] == "call_not_begun"
    assert ran == []
    assert [each["status"] for each in pdp.outcomes] == ["not_executed"]


def test_what_goes_on_when_its_point_closes_is_cut_and_its_outcome_delivered() -> None:
    async def effect(_: Permitted) -> None:
        await asyncio.sleep(60)

    async def close_meanwhile(point: EnforcementPoint, is_apart: bool) -> None:
        task = asyncio.create_task(point.guard_async(call(), effect))
        while not point._running:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        while not next(iter(point._running.values())).life.has_begun:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0.01)
        if is_apart:
            await point.aclose()
        else:
            point.close()
        with pytest.raises(BailiwickError, match="stream_cut: point_closed"):
            await task

    for is_apart in (False, True):
        pdp = FakePdp()
        asyncio.run(close_meanwhile(pdp.point(), is_apart))
        assert [(each["status"], each["cut"]) for each in pdp.outcomes] == [("unknown", "point_closed")]

    pdp = FakePdp()
    point, began = pdp.point(), threading.Event()

    def effect_in_thread(it: Permitted) -> None:
        began.set()
        while True:
            it.check()
            time.sleep(0.01)

    def guard() -> None:
        with pytest.raises(BailiwickError, match="stream_cut: point_closed"):
            point.guard(call(), effect_in_thread)

    thread = threading.Thread(target=guard)
    thread.start()
    assert began.wait(60)
    point.close()
    thread.join()
    assert [(each["status"], each["cut"]) for each in pdp.outcomes] == [("unknown", "point_closed")]


def test_a_call_that_was_cut_before_it_began_does_not_begin() -> None:
    pdp = FakePdp()
    ran: list[int] = []

    async def effect(_: Permitted) -> None:
        ran.append(1)

    with pdp.point(most_silence=60.0) as point:
        decide = point._decide  # pyright: ignore[reportPrivateUsage]

        def revoked(call: Call, text: str, call_id: str) -> Any:
            found = decide(call, text, call_id)
            assert isinstance(found, Permitted)
            found.life.cut("grant_revoked")
            return found

        point._decide = revoked  # pyright: ignore[reportPrivateUsage]
        for found in (point.guard(call(), lambda _: ran.append(1)), asyncio.run(point.guard_async(call(), effect))):
            assert isinstance(found, Refusal)
            assert found.reason == "grant_revoked"

        def late(call: Call, text: str, call_id: str) -> Any:
            found = decide(call, text, call_id)
            assert isinstance(found, Permitted)
            object.__setattr__(found, "until", time.time() - 1)
            return found

        point._decide = late  # pyright: ignore[reportPrivateUsage]
        for found in (point.guard(call(), lambda _: ran.append(1)), asyncio.run(point.guard_async(call(), effect))):
            assert isinstance(found, Refusal)
            assert found.reason == "call_not_begun"
        assert point.delivered(60)
    assert ran == []
    assert [each["status"] for each in pdp.outcomes] == ["not_executed"] * 4


def test_work_that_is_left_to_be_done_is_no_result() -> None:
    pdp = FakePdp()
    ran: list[int] = []

    def rows() -> Iterator[int]:
        ran.append(1)
        yield 1

    async def later() -> None:
        ran.append(1)

    async def rows_later() -> AsyncIterator[int]:
        ran.append(1)
        yield 1

    class Later:
        async def __call__(self) -> None:
            ran.append(1)

    async def asked(point: EnforcementPoint) -> None:
        async def effect(_: Permitted) -> Any:
            return rows()

        await point.guard_async(call(), effect)

    with pdp.point() as point:
        for work in (rows, later, rows_later, lambda: map(ran.append, [1])):
            found: list[Any] = []
            with pytest.raises(TypeError):
                point.guard(call(), lambda _, work=work, found=found: found.append(work()) or found[0])
            if work is rows:
                assert list(found[0]) == []
        with pytest.raises(TypeError):
            asyncio.run(asked(point))
        shown = Presented("POST", "https://invoices.example/read", "a.b.c", "d.e.f")
        with pytest.raises(TypeError):
            _ = point.guarded(tool("export/rows"))(Later())(shown)
        for each in (rows, rows_later):
            with pytest.raises(TypeError):
                point.guarded(tool("export/rows"))(each)
        assert point.delivered(60)
    assert ran == []
    assert {each["status"] for each in pdp.outcomes} == {"unknown"}


def test_one_caller_does_not_take_all_room_for_decisions() -> None:
    def shown(jkt: str) -> Any:
        credential = ".".join(to_base64url(to_json(each).encode()) for each in ({}, {"sub": "a", "cnf": {"jkt": jkt}}, {}))
        return dataclasses.replace(call(), presented=Presented("POST", "https://invoices.example/read", credential, "d.e.f"))

    pdp = FakePdp()
    go_on, asked = threading.Event(), threading.Semaphore(0)

    def slow(answer: Any) -> Any:
        asked.release()
        go_on.wait(60)
        return answer

    async def many(point: EnforcementPoint) -> None:
        async def effect(_: Permitted) -> None: ...

        tasks = [asyncio.create_task(point.guard_async(shown("one"), effect)) for _ in range(64)]
        for _ in tasks:
            await asyncio.to_thread(asked.acquire)
        refused = await point.guard_async(shown("one"), effect)
        assert isinstance(refused, Refusal)
        assert refused.reason == "queue_full"
        other = asyncio.create_task(point.guard_async(shown("other"), effect))
        await asyncio.to_thread(asked.acquire)
        go_on.set()
        await asyncio.gather(*tasks, other)
        assert isinstance(other.result(), Allowed)
        assert isinstance(await point.guard_async(shown("one"), effect), Allowed)

    pdp.answer = slow
    with pdp.point(timeout=60.0) as point:
        asyncio.run(many(point))
