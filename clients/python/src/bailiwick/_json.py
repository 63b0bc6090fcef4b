"""Strict JSON, its canonical form (RFC 8785), and the spellings of hashes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, cast

from .errors import BailiwickError

JsonObject = dict[str, Any]

_LARGEST = 2**53 - 1
_DEEPEST = 32


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: object) -> bytes | None:
    """The strict inverse: a lax decoder would give one token many texts, and each would be new to a memory of replays."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if to_base64url(data) == text else None


def sha256(data: bytes | str) -> str:
    """base64url SHA-256 of the bytes, or of the text's UTF-8: 43 characters."""
    return to_base64url(hashlib.sha256(data.encode() if isinstance(data, str) else data).digest())


def salted_hash(salt: str, text: str) -> str | None:
    """SHA-256 over the salt's 16 bytes and the text; None for a salt that is none."""
    data = from_base64url(salt)
    return sha256(data + text.encode()) if data is not None and len(data) == 16 else None


def parse_json(data: bytes | str, *, exact: bool = False) -> Any:
    """Strict JSON. Raises `json_malformed` for what two readers could understand differently: doubled keys, lone surrogates,
    `__proto__`, more than 32 levels. `exact`: also for a number that a double does not hold as it is written."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        whole, fraction = (_exact, _exact) if exact else (_whole, _fraction)
        value = json.loads(text, object_pairs_hook=_members, parse_int=whole, parse_float=fraction, parse_constant=_refuse)
        _check_texts(value, 0)
    except (ValueError, ArithmeticError, RecursionError):
        raise BailiwickError("json_malformed") from None
    return value


def _members(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs) or "__proto__" in found:
        raise ValueError
    return found


def _whole(text: str) -> int | float:
    value = int(text)
    return value if abs(value) <= _LARGEST else _fraction(text)


def _fraction(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError
    return number


def _exact(text: str) -> int | float:
    number = _fraction(text)
    if number.is_integer() and abs(number) > _LARGEST:
        raise ValueError
    if len(text) > 15 and Decimal(text) != Decimal(repr(number)):
        raise ValueError
    return int(number) if number.is_integer() else number


def _refuse(_: str) -> Any:
    raise ValueError


def _check_texts(value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, dict):
        for name, each in cast(JsonObject, value).items():
            name.encode("utf-8")
            _check_texts(each, depth + 1)
    elif isinstance(value, list):
        for each in cast(list[Any], value):
            _check_texts(each, depth + 1)


def to_json(value: Any) -> str:
    """As it is sent: without white space. Raises ValueError for NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def jcs(value: Any) -> str:
    """RFC 8785. Raises `request_malformed` for what has no canonical form."""
    try:
        text = _canonical(value, 0)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise BailiwickError("request_malformed", "the arguments have no canonical form") from None
    return text


def _canonical(value: Any, depth: int) -> str:
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value)
        if not all(isinstance(name, str) for name in members):
            raise TypeError
        # By UTF-16 code units, whose order differs from that of code points beyond U+FFFF.
        names = sorted(cast("Mapping[str, Any]", members), key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_text(name)}:{_canonical(members[name], depth + 1)}" for name in names) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_canonical(each, depth + 1) for each in cast("list[Any]", value)) + "]"
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return _number(value)
    raise TypeError


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(value: int | float) -> str:
    """As ECMAScript writes the double (RFC 8785 section 3.2.2.3)."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError
    number = float(value)
    if not isfinite(number):
        raise ValueError
    if number == 0:
        return "0"
    sign, found, exponent = Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, found))
    exponent = int(exponent)
    point = len(digits) + exponent
    if len(digits) <= point <= 21:
        written = digits + "0" * exponent
    elif 0 < point <= 21:
        written = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        written = f"0.{'0' * -point}{digits}"
    else:
        written = f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{point - 1:+}"
    return "-" * sign + written


def member(value: object, name: str) -> Any:
    """A member of an untrusted JSON value; None if it is no object, or has no such member."""
    return cast(JsonObject, value).get(name) if isinstance(value, dict) else None


def text_of(value: object, most: int = 100) -> str | None:
    """An untrusted value, if it is a text of at most this length."""
    return value if isinstance(value, str) and 0 < len(value) <= most else None
