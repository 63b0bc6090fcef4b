"""The arguments of an HTTP request, as the agent signs them and the enforcement point decides them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

from ._json import JsonObject, parse_json
from .errors import BailiwickError


def arguments_of(
    body: bytes, query: str = "", path: Mapping[str, str] | None = None, declared: Iterable[str] = ()
) -> JsonObject:
    """The members of the JSON body, and each parameter of the path and of the query as a text.

    Raises `request_malformed` where one name has two values, for a member of the body that is named like a parameter of the path or a
    `declared` one of the query, and for a body that is no JSON object: what the handler reads must be what was decided.
    """
    value: Any = parse_json(body, exact=True) if body else {}
    if not isinstance(value, dict):
        raise BailiwickError("request_malformed", "the body is no JSON object")
    found = dict(cast(JsonObject, value))
    # A parameter that is absent has its default. A member of the body does not stand in for it.
    taken = {_folded(name) for name in [*(path or {}), *declared]}
    if any(_folded(name) in taken for name in found):
        raise BailiwickError("request_malformed", "a member of the body that is named like a parameter")
    try:
        fields = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=256) if query else []
    except ValueError:
        raise BailiwickError("request_malformed", "the query") from None
    for name, text in [*(path or {}).items(), *fields]:
        if name in found or name == "__proto__":
            raise BailiwickError("request_malformed", f"{name[:64]!r} has two values, or may have none")
        found[name] = text
    return found


def _folded(name: str) -> str:
    """Some frameworks read a name without regard to case."""
    return unicodedata.normalize("NFKC", name).casefold()
