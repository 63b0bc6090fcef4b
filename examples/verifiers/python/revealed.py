"""Whether a revealed text is the one that its entry tells of: a salted hash says only that the writer committed to it."""

from authority import lookup
from bailiwick_events import Refused, strict_json
from jcs import double, jcs, sha256

ARGUMENTS = ("arguments",)
CALL = ("action", "call")
ABSENT = object()


def contradicts(path: tuple[str, ...], text: str, said: dict) -> bool:
    """
    The call of a decision, and the arguments of an ask, must be exactly one action in canonical form. It names the action, resource and
    arguments that the entry names, and its hash is the digest where the entry has one. Other texts are prose.
    """
    if path not in (ARGUMENTS, CALL):
        return False
    action = read_action(text)
    if action is None:
        return True
    told = said.get("action")
    if path == ARGUMENTS and sha256(text.encode()) != (told or {}).get("action_digest", said.get("action_digest")):
        return True
    if told is None:
        return path == CALL
    same = canonical([action["action"]["name"], action["resource"]]) == canonical([told["name"], told["resource"]])
    return not same or any(
        (found := lookup(action["action"]["properties"], pointer, ABSENT)) is ABSENT or canonical(found) != canonical(value)
        for pointer, value in told.get("arguments", {}).items()
    )


def read_action(text: str) -> dict | None:
    """None unless the text is one action in its one canonical spelling, with nothing beside it."""
    try:
        read = strict_json(text.encode())
        action, resource = read["action"], read["resource"]
        parts = {
            "action": {"name": action["name"], "properties": action["properties"]},
            "resource": {"type": resource["type"], "id": resource["id"]},
        }
        names = (action["name"], resource["type"], resource["id"])
        is_action = all(isinstance(each, str) for each in names) and isinstance(action["properties"], dict)
        return parts if is_action and canonical(parts) == text else None
    except (KeyError, Refused, TypeError, UnicodeEncodeError):
        return None


def canonical(value: object) -> str:
    return jcs(value, double)
