"""Takes a bundle of `bailiwick prove` apart, and proves that each of its entries is in the log (docs/audit/bundles.md)."""

import base64
import hashlib
from dataclasses import dataclass

from bailiwick_events import Refused, strict_json
from evidence_log import BadLog, open_checkpoint
from signatures import Fault


@dataclass(frozen=True)
class Leaf:
    index: int
    entry: bytes
    event: dict


@dataclass(frozen=True)
class Bundle:
    about: str
    trust: dict
    size: int
    leaves: list[Leaf]
    values: list[dict]


def read_bundle(data: bytes, vkey: str) -> Bundle:
    """Raises Fault for anything that is not a bundle, and for an entry that is not in the tree that the log's key signed."""
    try:
        said = strict_json(data)
    except Refused:
        raise Fault("not strict JSON") from None
    members(said, "the file", {"v", "kind", "about", "trust", "checkpoint", "leaves"}, {"values"})
    if said["v"] != 1 or said["kind"] != "bailiwick-bundle":
        raise Fault("of another kind, or another version")
    try:
        size, root = open_checkpoint(said["checkpoint"].encode(), vkey)
    except (AttributeError, BadLog, ValueError) as error:
        raise Fault(f"checkpoint: {error}") from None
    if said["trust"]["log"]["vkey"] != vkey:
        raise Fault("trust: it names another log")
    leaves = [read_leaf(each, at, size, root) for at, each in enumerate(said["leaves"])]
    if len({leaf.index for leaf in leaves}) != len(leaves):
        raise Fault("leaves: an entry twice")
    return Bundle(said["about"], said["trust"], size, leaves, said.get("values", []))


def read_leaf(said: dict, at: int, size: int, root: bytes) -> Leaf:
    where = f"leaves[{at}]"
    members(said, where, {"index", "proof", "event"}, set())
    index, entry = said["index"], said["event"].encode()
    proof = [hash_of(each, f"{where}.proof[{n}]") for n, each in enumerate(said["proof"])]
    if type(index) is not int or not 0 <= index < size or root_by(entry, index, size, proof) != root:
        raise Fault(f"{where} (entry {index}): it is not in the tree that was signed")
    try:
        event = strict_json(entry)
    except Refused:
        raise Fault(f"{where} (entry {index}): not strict JSON") from None
    return Leaf(index, entry, event)


def members(said: object, where: str, wanted: set[str], optional: set[str]) -> None:
    if not isinstance(said, dict) or not wanted <= said.keys() or not said.keys() <= wanted | optional:
        raise Fault(f"{where}: other members than a bundle has")


def hash_of(text: object, where: str) -> bytes:
    """32 bytes in the one canonical spelling of RFC 4648 section 4: unread bits could be changed unnoticed."""
    data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    if len(data) != 32 or base64.b64encode(data).decode() != text:
        raise Fault(f"{where}: not the canonical base64 of 32 bytes")
    return data


def root_by(entry: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """RFC 9162 section 2.1.3.2 (the proofs of RFC 6962 section 2.1.1)."""
    fn, sn = index, size - 1
    node = hashlib.sha256(b"\x00" + entry).digest()
    for hash_ in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            node = hashlib.sha256(b"\x01" + hash_ + node).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + hash_).digest()
        fn, sn = fn >> 1, sn >> 1
    return node if sn == 0 else None
