"""trust.json: everything that is believed traces back to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ._json import JsonObject, jcs, member, parse_json, sha256, text_of
from ._jws import verified
from .errors import BailiwickError
from .keys import thumbprint


@dataclass(frozen=True)
class Trust:
    installation: str
    #: The public key that certifies the keys of services.
    root: JsonObject
    public_url: str
    #: Whether a program answers requests, as in an installation of `bailiwick dev`.
    software_approver: bool


def read_trust(path: str | os.PathLike[str]) -> Trust:
    """Raises `trust_invalid` for a file that the root key in it did not sign: without an anchor nothing can go on."""
    try:
        return parse_trust(Path(path).read_bytes())
    except OSError:
        raise BailiwickError("trust_invalid", f"{path} cannot be read") from None


def parse_trust(data: bytes) -> Trust:
    try:
        file: Any = parse_json(data)
    except BailiwickError:
        raise BailiwickError("trust_invalid", "not strict JSON") from None
    installation, url = text_of(member(file, "installation")), text_of(member(file, "public_url"), 300)
    root = member(member(file, "root"), "jwk")
    if member(file, "v") != 1 or installation is None or url is None or not isinstance(root, dict):
        raise BailiwickError("trust_invalid", "a member is missing, or of another version")
    anchor = dict(cast(JsonObject, file))
    statement = anchor.pop("jws", None)
    key = cast(JsonObject, root)
    try:
        kid = thumbprint(key)
    except (KeyError, TypeError, ValueError):
        raise BailiwickError("trust_invalid", "the root key") from None
    said = {"installation": installation, "entity_type": "trust-anchor", "entity_id": "trust.json", "version": 1}
    # A person who can edit the file must not be able to change what it says.
    if verified(statement, "bailiwick-genesis+jws", kid, key) != said | {"after": sha256(jcs(anchor))}:
        raise BailiwickError("trust_invalid", "the root key did not sign it")
    return Trust(installation, key, url, member(file, "software_approver") is True)
