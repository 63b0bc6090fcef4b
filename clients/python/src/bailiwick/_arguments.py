"""The arguments of an HTTP request, as the agent signs them and the enforcement point decides them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

from ._json import JsonObject, parse_json
from .errors import BailiwickError


def arguments_of(body: bytes, query: str = "", path: Mapping[str, str] | None = None) -> JsonObject:
    """The members of the JSON body, and each parameter of the path and of the query as a text.

    Raises `request_malformed` where one name has two values, and for a body that is no JSON object: what the handler reads
    must be what was decided.
    """
    value: Any = parse_json(body, exact=True) if body else {}
    if not isinstance(value, dict):
        raise BailiwickError("request_malformed", "the body is no JSON object")
    found = dict(cast(JsonObject, value))
    try:
        fields = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=256) if query else []
    except ValueError:
        raise BailiwickError("request_malformed", "the query") from None
    for name, text in [*(path or {}).items(), *fields]:
        if name in found or name == "__proto__":
            raise BailiwickError("request_malformed", f"{name[:64]!r} has two values, or may have none")
        found[name] = text
    return found
