"""What a decision says, and whether it counts.

A signature proves who wrote an event, not that it took effect: two decision points may write a tree's next version at
the same time. The first in the partition's order counts; every other is VOID for all readers (DESIGN section 5).
"""

import hashlib
from collections import OrderedDict

from bailiwick_events import Refused

REMEMBERED = 100_000  # more than any broker delivers twice
MAX_TREES = 100_000
COUNTED = {"decision.allowed", "decision.abandoned", "outcome.reported", "outcome.missing"}


class Decisions:
    """Folds verified events of decisions.v1, each partition in its order, into one line a decision."""

    def __init__(self):
        self._seen: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._trees: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def line(self, event: dict, data: bytes) -> str | None:
        """The line to print; None for what is no decision, and for what stood there before."""
        try:
            return self._line(event, data)
        except (AttributeError, KeyError, TypeError):
            # Signed, and still not of docs/reference/events: a decision point that was taken over must not stop its readers.
            raise Refused("event_malformed") from None

    def _line(self, event: dict, data: bytes) -> str | None:
        counts = self._counts(event, hashlib.sha256(data).digest())
        if counts is None:
            return None
        said = event["data"]
        if event["type"] == "decision.allowed":
            verdict, reason = "ALLOW" if counts else "VOID", "allowed"
        elif event["type"] == "decision.denied":
            verdict, reason = "DENY" if counts else "VOID", said["reason"]
        elif event["type"] == "decision.abandoned":
            # The ALLOW was not answered: it came too late, and the caller got a DENY.
            verdict, reason = "ABANDONED" if counts else "VOID", "-"
        else:
            return None
        action = said.get("action", {})
        resource = action.get("resource")
        fields = [
            event["time"],
            verdict,
            reason,
            said.get("actor", {}).get("agent", "-"),
            action.get("name", "-"),
            f"{resource['type']}:{resource['id']}" if resource else "-",
            event["partitionkey"],  # the tree: its root grant; without one, whom it is about
            said["decision_id"],
        ]
        return "\t".join(printable(field) for field in fields)

    def _counts(self, event: dict, digest: bytes) -> bool | None:
        """None: the same event once more. The base of a tree is its first event that is met."""
        tree = event["partitionkey"]
        seen = self._seen.get((tree, event["id"]))
        if seen is not None:
            return None if seen == digest else False
        self._seen[tree, event["id"]] = digest
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        if event["type"] not in COUNTED:
            return True
        version, after = event.get("version"), event["data"].get("after")
        known = self._trees.get(tree)
        if type(version) is not int:
            return False
        if known is not None and (version != known[0] + 1 or after not in (None, known[1])):
            return False
        if known is None and version == 1 and after is not None:
            return False
        self._trees[tree] = (version, event["id"])
        self._trees.move_to_end(tree)
        if len(self._trees) > MAX_TREES:
            self._trees.popitem(last=False)
        return True


def printable(text: str) -> str:
    """Names come from agents and other people: none of them may act on a terminal, or look like another column."""
    return "".join(c if " " <= c <= "~" and c != "\\" else f"\\u{{{ord(c):x}}}" for c in text)
