"""Whether a permission holds an action (DESIGN section 7.1), for an auditor who has the action's named arguments alone."""

import re
from decimal import Decimal
from fractions import Fraction
from math import isfinite

SAFE = 2**53 - 1
DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
# A URL below which "starts with" and "lies below" are the same; nothing that a server may decode, cut off or collapse.
URL = re.compile(
    r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?(/[A-Za-z0-9_.~!$&'()*+,=:@-]+)*/?"
)
URL_DOTS = re.compile(r"(^|/)\.+(/|$)")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# What a path may not hold: control characters and backslashes, dot segments, and escapes of any of these.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
# Dots and white space, which may be escaped, or + as in a form's field.
SPACES = r"[\s\ufeff+]|%(20|c2%(85|a0)|e1%9a%80|e2%80%(8[0-9a]|a[89f])|e2%81%9f|e3%80%80|ef%bb%bf)"
DOTS = re.compile(rf"(^|/)(\.|{SPACES})+([/;?#:%]|$)", re.IGNORECASE)
ESCAPE = re.compile(r"%(?![2-9a-f][0-9a-f])|%(2[5ef]|5c|7f|c[01]|e0%[89]|f0%8|f[5-9a-f])", re.IGNORECASE)


def covers(authority: dict, name: str, resource: dict, arguments: object) -> str | None:
    """None when a permission holds the action; else the reason of the one that came closest."""
    reason = "action_not_granted"
    for permission in authority["permissions"]:
        if name not in permission["actions"] or not holds(permission["resource"], resource):
            continue
        where = permission.get("where", {})
        within = permission.get("arguments") != "closed" or all_named(arguments, "", named_by(permission))
        if not within or not all(satisfies(lookup(arguments, pointer), bound) for pointer, bound in where.items()):
            reason = "argument_out_of_bounds" if reason == "action_not_granted" else reason
        elif not countable(authority, permission, arguments):
            reason = "cost_invalid"
        else:
            return None
    return reason


def holds(scope: dict, resource: dict) -> bool:
    if scope["type"] != resource["type"]:
        return False
    if "id" in scope:
        return "id_prefix" not in scope and scope["id"] == resource["id"]
    prefix = scope["id_prefix"]
    return prefix.endswith("/") and normal(prefix) and normal(resource["id"]) and resource["id"].startswith(prefix)


def normal(url: str) -> bool:
    return len(url) <= 2048 and URL.fullmatch(url) is not None and not URL_DOTS.search(url)


def lookup(document: object, pointer: str, absent: object = None) -> object:
    """RFC 6901; `absent` where nothing stands."""
    for escaped in pointer[1:].split("/"):
        token = escaped.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and token in document:
            document = document[token]
        elif isinstance(document, list) and re.fullmatch("0|[1-9][0-9]*", token) and int(token) < len(document):
            document = document[int(token)]
        else:
            return absent
    return document


def named_by(permission: dict) -> set[str]:
    cost = permission.get("cost", {})
    return {*permission.get("where", {}), *(cost[name] for name in ("amount", "currency") if name in cost)}


def all_named(value: object, at: str, names: set[str]) -> bool:
    """Whether every value stands at or below a named place. An empty object or list is itself a value, except if there are no arguments at all."""
    if at in names or (at == "" and value == {}):
        return True
    if isinstance(value, dict) and value:
        inner = [(key.replace("~", "~0").replace("/", "~1"), each) for key, each in value.items()]
    elif isinstance(value, list) and value:
        inner = [(str(n), each) for n, each in enumerate(value)]
    else:
        return False
    return all(all_named(each, f"{at}/{key}", names) for key, each in inner)


def number(value: object) -> Fraction | None:
    """The exact number that a decimal string or a JSON number stands for; None for a double that may have been another text."""
    if isinstance(value, str):
        digits = sum(character.isdigit() for character in value)
        return Fraction(value) if DECIMAL.fullmatch(value) and value.isascii() and digits <= 38 else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, int) or value.is_integer():
        return Fraction(int(value)) if abs(value) <= SAFE else None
    text = Decimal(repr(value))
    return Fraction(text) if len(text.as_tuple().digits) <= 15 else None


def same(value: object, other: object) -> bool:
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    numbers = number(value), number(other)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return numbers == (None, None) and isinstance(value, str) and value == other


def satisfies(value: object, bound: dict) -> bool:
    """Every comparison of the bound; an argument that is absent, or of a type that is not compared, satisfies none."""
    if not isinstance(value, (str, bool)) and number(value) is None:
        return False
    amount = number(value)
    return (
        ("eq" not in bound or same(value, bound["eq"]))
        and ("in" not in bound or any(same(value, each) for each in bound["in"]))
        and ("min" not in bound or (amount is not None and amount >= Fraction(bound["min"])))
        # A max without a min begins at 0.
        and ("max" not in bound or (amount is not None and Fraction(bound.get("min", "0")) <= amount <= Fraction(bound["max"])))
        and ("prefix" not in bound or (isinstance(value, str) and inside(value, bound["prefix"])))
    )


def inside(value: str, prefix: str) -> bool:
    """A prefix that ends in / is a path prefix: only a plain path lies inside it."""
    if not value.startswith(prefix):
        return False
    if not prefix.endswith("/"):
        return True
    scheme = SCHEME.match(prefix)
    path = value[scheme.end() :] if scheme else value
    return not (CONTROL.search(path) or "//" in path or DOTS.search(path) or ESCAPE.search(path))


def countable(authority: dict, permission: dict, arguments: object) -> bool:
    """What the action costs must be an amount that the budget bounds: at most six places behind the point, not negative."""
    cost = permission.get("cost")
    if cost is None:
        return True
    currency, value = lookup(arguments, cost["currency"]), lookup(arguments, cost["amount"])
    amount = number(value)
    if not isinstance(currency, str) or currency not in authority["budget"].get("cost", {}) or amount is None:
        return False
    places = len(value.partition(".")[2]) if isinstance(value, str) else 0
    return amount >= 0 and places <= 6 and (amount * 10**6).denominator == 1
