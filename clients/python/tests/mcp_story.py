"""python mcp_story.py URL GRANT: an MCP client behind the gateway, for test/consumers/python-sdk.test.ts. Prints what it saw as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bailiwick import AsyncAgent
from bailiwick.mcp import connect

#: Codes that a busy machine can cause.
PASSING = ("deadline_exceeded", "pdp_unavailable", "state_stale", "queue_full", "credential_unrecorded", "budget_held")


async def story(url: str, grant: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    async with AsyncAgent.from_env() as agent, connect(url, agent, grant) as client:
        seen["tools"] = sorted(each.name for each in (await client.list_tools()).tools)
        calls: list[tuple[str, dict[str, Any]]] = [("read", {"invoice": "INV-1"}), ("adjust", {"amount": 501, "currency": "EUR"}), ("delete", {})]
        for name, arguments in calls:
            for _ in range(20):
                try:
                    seen[name] = repr((await client.call_tool(name, arguments)).content)
                except Exception as error:
                    seen[name] = repr(getattr(error, "error", error))
                if not any(each in seen[name] for each in PASSING):
                    break
                await asyncio.sleep(0.5)
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(story(*sys.argv[1:]))))
