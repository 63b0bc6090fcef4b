"""What a busy machine brings about, and nothing else does in these tests, is tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from bailiwick import BailiwickError

T = TypeVar("T")
_TRIES = 20
_PASSING = (
    "deadline_exceeded",
    "evidence_unavailable",
    "pdp_unavailable",
    "state_stale",
    "queue_full",
    "credential_unrecorded",
    "service_unready",
    "service_standby",
    "service_unreachable",
    "outcome_unknown",
)


def is_passing(found: object) -> bool:
    if isinstance(found, BailiwickError):
        return found.code in _PASSING
    response: Any = found
    if not hasattr(found, "status_code") or response.status_code < 400:
        return False
    return any(f'"code":"{code}"' in response.text for code in _PASSING)


def patiently(act: Callable[[], T]) -> T:
    for _ in range(_TRIES):
        try:
            found = act()
        except BailiwickError as error:
            if not is_passing(error):
                raise
        else:
            if not is_passing(found):
                return found
        time.sleep(0.5)
    return act()


async def patiently_async(act: Callable[[], Awaitable[T]]) -> T:
    for _ in range(_TRIES):
        try:
            found = await act()
        except BailiwickError as error:
            if not is_passing(error):
                raise
        else:
            if not is_passing(found):
                return found
        await asyncio.sleep(0.5)
    return await act()
