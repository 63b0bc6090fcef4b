"""The entries that the log's checkpoint commits to, from its files (C2SP tlog-tiles, tlog-checkpoint, signed-note)."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH = 256
SIGNATURE = "\u2014 "  # an em dash and a space


class BadLog(Exception):
    """The files are not a log that the holder of the log's key signed."""


def read_log(folder: Path, vkey: str) -> list[bytes]:
    """Every entry, in order. Raises BadLog unless all of them together are the tree that was signed."""
    size, root = open_checkpoint((folder / "checkpoint").read_bytes(), vkey)
    entries = [entry for index in range(-(-size // WIDTH)) for entry in read_bundle(folder, index, size)]
    if tree_root(entries) != root:
        raise BadLog("the entries are not what the checkpoint commits to")
    return entries


def open_checkpoint(note: bytes, vkey: str) -> tuple[int, bytes]:
    """Size and root hash, once the log's own signature verifies. Witnesses' cosignatures are not asked for here."""
    name, key_id, key = parse_vkey(vkey)
    body, separator, signatures = note.decode().partition("\n\n")
    if not separator:
        raise BadLog("the checkpoint is no signed note")
    body += "\n"
    mine = [line for line in signatures.splitlines() if line.startswith(f"{SIGNATURE}{name} ")]
    said = [base64.b64decode(line.rsplit(" ", 1)[1], validate=True) for line in mine]
    signature = next((each[4:] for each in said if each[:4] == key_id), b"")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, body.encode())
    except InvalidSignature:
        raise BadLog("the log's key did not sign the checkpoint") from None
    origin, size, root, *_ = body.split("\n")
    if origin != name or not size.isascii() or not size.isdigit() or str(int(size)) != size:
        raise BadLog("the checkpoint is of another log, or of no size")
    return int(size), base64.b64decode(root, validate=True)


def parse_vkey(vkey: str) -> tuple[str, bytes, bytes]:
    name, key_id, data = vkey.split("+", 2)
    key = base64.b64decode(data, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if len(key) != 33 or key[0] != 1 or expected.hex() != key_id:
        raise BadLog("the log's vkey in trust.json is none")
    return name, expected, key[1:]


def read_bundle(folder: Path, index: int, size: int) -> Iterator[bytes]:
    """Each entry stands behind its length, a big-endian uint16. The last bundle of a log is partial, and named so."""
    width = min(WIDTH, size - index * WIDTH)
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = folder.joinpath("tile", "entries", *(f"x{group}" for group in groups[:-1]), groups[-1])
    data = (path if width == WIDTH else path.with_name(path.name + ".p") / str(width)).read_bytes()
    at = 0
    for _ in range(width):
        length = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + length]
        if len(data) < at + 2 or len(entry) != length:
            raise BadLog(f"bundle {index} ends within an entry")
        at += 2 + length
        yield entry
    if at != len(data):
        raise BadLog(f"bundle {index} has more than its entries")


def tree_root(entries: list[bytes]) -> bytes:
    """RFC 6962 section 2.1: perfect subtrees, joined from the right."""
    subtrees: list[tuple[int, bytes]] = []
    for entry in entries:
        height, node = 0, hashlib.sha256(b"\x00" + entry).digest()
        while subtrees and subtrees[-1][0] == height:
            node = hashlib.sha256(b"\x01" + subtrees.pop()[1] + node).digest()
            height += 1
        subtrees.append((height, node))
    if not subtrees:
        return hashlib.sha256(b"").digest()
    node = subtrees.pop()[1]
    while subtrees:
        node = hashlib.sha256(b"\x01" + subtrees.pop()[1] + node).digest()
    return node
