"""python mcp_story.py URL GRANT: an MCP client behind the gateway, for test/consumers/python-sdk.test.ts. Prints what it saw as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bailiwick import AsyncAgent
from bailiwick.mcp import connect


async def story(url: str, grant: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    async with AsyncAgent.from_env() as agent, connect(url, agent, grant) as client:
        seen["tools"] = sorted(each.name for each in (await client.list_tools()).tools)
        seen["read"] = (await client.call_tool("read", {"invoice": "INV-1"})).model_dump(mode="json")
        for name, arguments in [("adjust", {"amount": 501, "currency": "EUR"}), ("delete", {})]:
            try:
                seen[name] = (await client.call_tool(name, arguments)).model_dump(mode="json")
            except Exception as error:
                seen[name] = repr(getattr(error, "error", error))
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(story(*sys.argv[1:]))))
