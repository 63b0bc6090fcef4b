"""JSON Canonicalization Scheme (RFC 8785). Statements and registry entries hold no fractions, which all are text; arguments may."""

import hashlib
import json
from decimal import Decimal
from math import isfinite

from bailiwick_events import Refused, to_base64url

SAFE = 2**53 - 1  # beyond it two readers would make two numbers of one text


def whole(value) -> str:
    if isinstance(value, int) and -SAFE <= value <= SAFE:
        return str(value)
    raise Refused("json_malformed")


def double(value) -> str:
    """As ECMAScript writes the double that a number is read as (RFC 8785 section 3.2.2.3)."""
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        raise Refused("json_malformed") from None
    if not isfinite(number):
        raise Refused("json_malformed")
    sign, found, exponent = Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, found))
    point = len(digits) + exponent
    if number == 0:
        return "0"
    if len(digits) <= point <= 21:
        written = digits + "0" * exponent
    elif 0 < point <= 21:
        written = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        written = f"0.{'0' * -point}{digits}"
    else:
        written = f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{point - 1:+}"
    return "-" * sign + written


def jcs(value, number=whole) -> str:
    if isinstance(value, dict):
        # Names in the order of their UTF-16 code units, which differs from that of code points beyond U+FFFF.
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{text(name)}:{jcs(value[name], number)}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(jcs(each, number) for each in value) + "]"
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return number(value)


def text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def jcs_hash(value) -> str:
    return sha256(jcs(value).encode())


def sha256(data: bytes) -> str:
    return to_base64url(hashlib.sha256(data).digest()).decode()
