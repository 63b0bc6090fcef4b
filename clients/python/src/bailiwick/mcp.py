"""MCP servers behind Bailiwick's gateway, with the MCP SDK: needs `bailiwick[mcp]`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from ._json import JsonObject, member, parse_json
from .action import Action, tool
from .agent import Agent, AsyncAgent
from .errors import BailiwickError
from .httpx2 import Auth

_CALLS = ("resources/read", "prompts/get")


@asynccontextmanager
async def connect(url: str, agent: Agent | AsyncAgent, grant: str, **options: Any) -> AsyncGenerator[Client, None]:
    """A client of the server at the gateway's address `…/mcp/<name>`, which acts under this grant.

    The agent signs each call of a tool, with its arguments. A denial is the MCP SDK's error: its `data` has `code`, `reason` and
    whether it can be asked for. `options` are those of `mcp.client.Client`.
    """
    server = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    auth: httpx2.Auth = Auth(agent, grant, action=lambda request: _action_of(server, request.content))
    # A server may hold a stream open for minutes.
    http = httpx2.AsyncClient(auth=auth, timeout=httpx2.Timeout(30.0, read=300.0))
    async with http, Client(streamable_http_client(url, http_client=http), **options) as client:
        yield client


def _action_of(server: str, body: bytes) -> Action | None:
    """As the gateway maps a message. None: the message is no action, and the proof is for the address alone."""
    try:
        message: Any = parse_json(body) if body else None
    except BailiwickError:
        return None
    method, params = member(message, "method"), member(message, "params")
    if not isinstance(params, dict):
        return None
    members = {name: each for name, each in cast(JsonObject, params).items() if name != "_meta"}
    if method in _CALLS:
        return Action("tools/call", tool(f"{server}/{method}"), members)
    name, arguments = members.pop("name", None), members.pop("arguments", {})
    if method != "tools/call" or not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return Action("tools/call", tool(f"{server}/{name}"), cast(JsonObject, arguments) | members)
