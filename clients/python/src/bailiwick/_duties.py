"""Obligations (AuthZEN Profile for Obligations): what a decision requires of an answer. One that cannot be fulfilled refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ._json import jcs, member, parse_json, to_json
from .errors import BailiwickError

#: The types fulfilled here, as this point declares them. Notifications are not.
SUPPORTED = ["custom", "step-up"]
REDACTED = "[redacted]"
_FIELD = re.compile(r"(?:[^/~]|~[01])+(?:/(?:[^/~]|~[01])+)*")
#: Allowed for an outcome on its way to the decision point, in seconds.
_MOST_TO_TELL = 2.0


@dataclass(frozen=True)
class Owed:
    """The limits that a decision puts on an answer."""

    #: Fields whose values may not leave, each as its names from the outside in.
    redact: tuple[tuple[str, ...], ...] = ()
    most_bytes: int | None = None
    #: The outcome must be reported within this many seconds of the decision.
    report_within: float | None = None

    @property
    def is_nothing(self) -> bool:
        return not self.redact and self.most_bytes is None

    @property
    def answer_within(self) -> float | None:
        """For how many seconds an answer may flow, so that its outcome is in time."""
        within = self.report_within
        return None if within is None else within - min(within / 4, _MOST_TO_TELL)


def owed_by(obligations: Sequence[Any]) -> Owed | None:
    """None if one of them is not understood, or cannot be fulfilled here."""
    redact: list[tuple[str, ...]] = []
    limits: list[int] = []
    seconds: list[int] = []
    ids = [member(each, "id") for each in obligations]
    if len({id for id in ids if isinstance(id, str) and 0 < len(id) <= 64}) != len(obligations):
        return None
    for each in obligations:
        said = member(each, "properties")
        if set(each) != {"id", "type", "properties"} or each["type"] != "custom" or member(said, "vendor") != "bailiwick":
            return None
        action, members = said.get("action"), set(said) - {"vendor", "action"}
        if action == "redact" and members == {"fields"} and _are_fields(said["fields"]):
            redact += [_names_of(field) for field in said["fields"]]
        elif action == "limit" and members == {"bytes"} and _is_count(said["bytes"]):
            limits.append(said["bytes"])
        elif action == "report_outcome_by" and members == {"seconds"} and _is_count(said["seconds"]):
            seconds.append(said["seconds"])
        else:
            return None
    return Owed(tuple(redact), min(limits, default=None), min(seconds, default=None))


def _are_fields(value: object) -> bool:
    if not isinstance(value, list) or not 1 <= len(cast("list[Any]", value)) <= 128:
        return False
    fields = cast("list[Any]", value)
    return all(isinstance(each, str) and len(each) <= 128 and _FIELD.fullmatch(each) is not None for each in fields)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _names_of(field: str) -> tuple[str, ...]:
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in field.split("/"))


def is_signed(beside: Sequence[Any], signed: Sequence[Any]) -> bool:
    """Obligations beside a permit are unsigned: they must be those in it, no more and no less."""
    try:
        return jcs(list(beside)) == jcs(list(signed))
    except BailiwickError:
        return False


def hold(answer: Any, owed: Owed) -> tuple[Any, int | None]:
    """An answer as it may leave, and its length where something is owed. It may be a JSON value, a text, bytes, or None.

    Raises `answer_withheld` for one that is too long, and for one that cannot be read for certain; never gives a part.
    """
    if owed.is_nothing:
        return answer, None
    try:
        shown, length = _held(answer, owed)
    except (BailiwickError, ValueError, TypeError, RecursionError):
        raise BailiwickError("answer_withheld", "it cannot be read for certain") from None
    if owed.most_bytes is not None and length > owed.most_bytes:
        raise BailiwickError("answer_withheld", "longer than its limit")
    return shown, length


def _held(answer: Any, owed: Owed) -> tuple[Any, int]:
    if answer is None:
        return None, 0
    if isinstance(answer, bytes):
        data = redact_bytes(answer, owed) if owed.redact else answer
        return data, len(data)
    if isinstance(answer, str):
        text = redact_bytes(answer.encode(), owed).decode() if owed.redact else answer
        return text, len(text.encode())
    # A copy: what is measured is what is returned.
    copy = parse_json(_json_of(answer))
    shown = redact(copy, owed.redact)
    return shown, len(to_json(shown).encode())


def _json_of(value: Any) -> str:
    """Only of what JSON can hold: no objects of a class, no keys that are no text."""
    if isinstance(value, dict) and not all(isinstance(name, str) for name in cast("dict[Any, Any]", value)):
        raise TypeError
    return to_json(value)


def redact_bytes(data: bytes, owed: Owed) -> bytes:
    """JSON, without these fields. Raises for what is not strict JSON."""
    return to_json(redact(parse_json(data), owed.redact)).encode()


def redact(value: Any, fields: Sequence[tuple[str, ...]], place: tuple[str, ...] = ()) -> Any:
    """A copy without the values of these fields, wherever they stand: at any depth, in lists, and in JSON that is a text. Raises
    where it is not certain that all are hidden."""
    if isinstance(value, str):
        return _redact_text(value, fields, place)
    if isinstance(value, list):
        # A list is its elements: wrapping a field into one hides nothing.
        return [redact(each, fields, place) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    shown: dict[str, Any] = {}
    for name, each in cast("dict[str, Any]", value).items():
        at = (*place, name)
        is_hidden = any(at[len(at) - len(field) :] == field for field in fields if len(field) <= len(at))
        shown[name] = REDACTED if is_hidden else redact(each, fields, at)
    return shown


def _redact_text(text: str, fields: Sequence[tuple[str, ...]], place: tuple[str, ...]) -> str:
    """Tools that speak MCP put their JSON into a text."""
    trimmed = text.strip()
    if trimmed[:1] not in ('"', "[", "{"):
        return _silent(text, fields)
    try:
        json.loads(trimmed)
    except (ValueError, RecursionError):
        return _silent(text, fields)
    value = parse_json(trimmed)
    copy = redact(value, fields, place)
    before, after = to_json(value), to_json(copy)
    return text if before == after else after


#: However often the text was quoted.
_ESCAPED = re.compile(r"(?<!\\)\\+(?:u([0-9a-f]{4})|/)", re.IGNORECASE)


def _silent(text: str, fields: Sequence[tuple[str, ...]]) -> str:
    """JSON lines, JSON in a fence, a dict of Python: such a text cannot be read for certain, so it must not name a field."""
    spelled = (text, _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "/", text))
    for field in fields:
        name = field[-1]
        for quoted in (json.dumps(name)[:-1], json.dumps(name, ensure_ascii=False)[:-1], f'"{name}', f"'{name}"):
            if any(quoted in each for each in spelled):
                raise ValueError
    return text
