"""Exactly one action, and its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ._json import JsonObject, jcs, parse_json, sha256


@dataclass(frozen=True)
class Resource:
    type: str
    id: str


def tool(id: str) -> Resource:
    """The resource of a tool: `tool("invoices/read")`."""
    return Resource("tool", id)


@dataclass(frozen=True)
class Action:
    """What is to be done, with all arguments that the effect will act on: a decision covers nothing else."""

    name: str
    resource: Resource
    properties: Mapping[str, Any] = field(default_factory=lambda: cast("dict[str, Any]", {}))

    @property
    def text(self) -> str:
        """The canonical text (RFC 8785) whose hash names the action. Raises `request_malformed`."""
        resource = {"type": self.resource.type, "id": self.resource.id}
        return jcs({"action": {"name": self.name, "properties": self.properties}, "resource": resource})

    @property
    def digest(self) -> str:
        return sha256(self.text)


def read_action(text: str) -> Action:
    """The action of a canonical text: a copy that nothing else can reach."""
    value: JsonObject = parse_json(text)
    action, resource = value["action"], value["resource"]
    return Action(action["name"], Resource(resource["type"], resource["id"]), action["properties"])
