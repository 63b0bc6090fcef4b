#!/usr/bin/env python3
"""Verifies again every approval that a person signed, from the evidence log's files and trust.json alone.

Columns, by tabs: time, OK | BAD | VOID, approved | endorsed, request, who signed, detail (of OK: how many of how many).
Exit status: 0 all was good, 1 something was BAD, 2 it could not run.
"""

import argparse
import sys
from pathlib import Path

# Keys and event signatures are verified by the same code as in examples/consumers/python.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "consumers/python"))

from approvals import STATEMENT_OF, Approvals, Line  # noqa: E402
from bailiwick_events import TYPES, KeyRing, Refused, strict_json  # noqa: E402
from decisions import printable  # noqa: E402
from evidence_log import BadLog, read_log  # noqa: E402
from registry import Registry  # noqa: E402
from signatures import Fault  # noqa: E402


def main() -> int:
    options = arguments()
    trust = options.trust.read_bytes()
    anchor = strict_json(trust)
    entries = read_log(options.log, anchor["log"]["vkey"])
    keys, registry = KeyRing(trust), Registry(anchor)
    verifier = Verifier(keys, registry)
    # Twice, since topics mix: all of who is who first, then what they approved.
    verifier.read(entries, "registry.v1")
    verifier.read(entries, "approvals.v1")
    verifier.read(entries, "grants.v1")
    counts = verifier.counts
    print(
        f"{len(entries)} leaves, {registry.changes} registry changes, {verifier.grants} grants; approvals and endorsements: "
        f"{counts['OK']} good, {counts['VOID']} void; {counts['BAD']} faults"
        + (" (one person suffices here: single_operator)" if anchor["single_operator"] else ""),
        file=sys.stderr,
    )
    if not registry.whole():
        print("its registry does not begin with the whole genesis that trust.json signs", file=sys.stderr)
    return 1 if counts["BAD"] or not registry.whole() else 0


class Verifier:
    def __init__(self, keys: KeyRing, registry: Registry):
        self._keys, self._registry, self._approvals = keys, registry, Approvals(registry)
        self.counts = {"OK": 0, "BAD": 0, "VOID": 0}
        self.grants = 0

    def read(self, entries: list[bytes], topic: str) -> None:
        """
        Every leaf of this topic, in the log's order. The key that signed an event must be certified for its topic. What is about
        a step-up comes last: its request may stand in the log before that of its grant, which is in another partition.
        """
        late = step_ups(entries)
        for index, entry in sorted(enumerate(entries), key=lambda each: partition_of(each[1]) in late):
            event = None
            try:
                event = strict_json(entry)
                if event["dataschema"] != f"urn:bailiwick:schema:{topic}:{event['type']}":
                    continue
                self._read(topic, entry, event)
            except (Fault, Refused) as fault:
                self._say(bad(index, event, str(fault)))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                # Signed, and still not of docs/reference/events: a service that was taken over must not stop its auditors.
                self._say(bad(index, event, "event_malformed"))

    def _read(self, topic: str, entry: bytes, event: dict) -> None:
        key = event["partitionkey"]
        if topic == "registry.v1":
            self._registry.read(self._keys, key, entry, event)
            return
        if event["type"] not in TYPES[topic]:
            raise Refused("event_type_unknown")
        event = self._keys.verify(topic, key, entry)
        if topic == "approvals.v1":
            line = self._approvals.read(event)
            if line is not None:
                self._say(line)
        elif event["type"] == "grant.created":
            self.grants += 1
            self._approvals.check_grant(event)

    def _say(self, line: Line) -> None:
        self.counts[line.verdict] += 1
        fields = [line.time, line.verdict, line.what, line.request, line.people, line.detail]
        print("\t".join(printable(each) for each in fields), flush=True)


def step_ups(entries: list[bytes]) -> set[str]:
    """The requests that ask for one action under a grant."""
    found = set()
    for entry in entries:
        try:
            event = strict_json(entry)
            if event["type"] == "request.received" and STATEMENT_OF.get(event["data"]["kind"]) == "step_up":
                found.add(event["partitionkey"])
        except (AttributeError, KeyError, TypeError, ValueError, Fault, Refused):
            pass  # Said where it is read.
    return found


def partition_of(entry: bytes) -> str | None:
    try:
        key = strict_json(entry)["partitionkey"]
    except (AttributeError, KeyError, TypeError, ValueError, Fault, Refused):
        return None
    return key if isinstance(key, str) else None


def bad(index: int, event: object, detail: str) -> Line:
    said = event if isinstance(event, dict) else {}
    time, what, subject = (str(said.get(name, "-")) for name in ("time", "type", "subject"))
    return Line(time, "BAD", what, subject, "-", f"leaf {index}: {detail}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Verifies every approval of an evidence log by trust.json alone.")
    parser.add_argument("--data", type=Path, default=Path(".bailiwick"), help="data directory of the installation")
    parser.add_argument("--log", type=Path, help="the log's folder; else <data>/evidence/log")
    parser.add_argument("--trust", type=Path, help="trust.json, from whom you trust; else <data>/trust.json")
    options = parser.parse_args()
    options.log = options.log or options.data / "evidence/log"
    options.trust = options.trust or options.data / "trust.json"
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BadLog, OSError, KeyError, ValueError, Refused) as error:
        print(f"verify_approvals: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
