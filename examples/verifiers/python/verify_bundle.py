#!/usr/bin/env python3
"""Verifies bundles of `bailiwick prove` from the log's key and the root key alone (docs/audit/bundles.md).

Prints the story by tabs: time, what, who, entry. Exit status: 0 proved; 1 it proves nothing, with the reason; 2 it could not run.
Witnesses' cosignatures are not asked for here.
"""

import argparse
import json
import sys
from pathlib import Path

# Keys and event signatures are verified by the same code as in examples/consumers/python.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "consumers/python"))

from bailiwick_events import Refused, base64url  # noqa: E402
from bundle import Bundle, read_bundle  # noqa: E402
from decisions import printable  # noqa: E402
from jcs import jcs_hash, sha256  # noqa: E402
from revealed import contradicts  # noqa: E402
from signatures import Fault, claims  # noqa: E402
from story import Story  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies bundles from two keys.")
    parser.add_argument("bundle", type=Path, nargs="+")
    parser.add_argument("--vkey", required=True, help="the log's key, from its operator")
    parser.add_argument("--root", required=True, help="x of the root key (trust.root.jwk.x), from another source")
    options = parser.parse_args()
    return max([judge(file, options.vkey, options.root) for file in options.bundle])


def judge(file: Path, vkey: str, root: str) -> int:
    try:
        bundle = read_bundle(file.read_bytes(), vkey)
        story = verify(bundle, root)
    except (Fault, Refused) as fault:
        print(f"{file}: proves NOTHING ({printable(str(fault))})")
        return 1
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # Signed or not, it is not of docs/reference/events: a file that makes a reader stumble proves nothing.
        print(f"{file}: proves NOTHING (malformed: {type(error).__name__})")
        return 1
    for time, what, who, entry in sorted(story.lines):
        print("\t".join(printable(str(each)) for each in (time, what, who or "-", entry)))
    print(f"{file}: proved, of a log of {bundle.size} entries: the story of {printable(bundle.about)}")
    return 0


def verify(bundle: Bundle, root: str) -> Story:
    """Raises Fault for the first thing that does not hold."""
    if bundle.trust["root"]["jwk"]["x"] != root:
        raise Fault("the root key is another one than yours")
    anchored(bundle.trust)
    story = Story(bundle, json.dumps(bundle.trust).encode())
    story.read(bundle.leaves)
    if bundle.about not in story.named:
        raise Fault("nothing in it is about what it names")
    for value in bundle.values:
        salt = base64url(value["salt"].encode())
        places = story.commitments.get(sha256((salt or b"") + value["text"].encode()))
        if salt is None or len(salt) != 16 or places is None:
            raise Fault("a text that no entry of the story committed to")
        for path, leaf in places:
            if contradicts(path, value["text"], leaf.event["data"]):
                raise Fault(f"entry {leaf.index}: the text at /{'/'.join(path)} is of another action than the entry tells of")
    return story


def anchored(trust: dict) -> None:
    """The root key signed every member of trust.json."""
    said = claims(trust["jws"], trust["root"]["jwk"], "bailiwick-genesis+jws")
    signed = {name: value for name, value in trust.items() if name != "jws"}
    wanted = {
        "installation": trust["installation"],
        "entity_type": "trust-anchor",
        "entity_id": "trust.json",
        "version": 1,
        "after": jcs_hash(signed),
    }
    if said != wanted:
        raise Fault("trust: the root key did not sign it")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        print(f"verify_bundle: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
