"""Compact JWS (RFC 7515): what the SDK signs, and what it verifies."""

from __future__ import annotations

import secrets
from typing import Any

from ._json import JsonObject, from_base64url, member, parse_json, to_base64url, to_json
from .errors import BailiwickError
from .keys import SigningKey, is_es256

_LONGEST = 32_768


def sign(typ: str, claims: JsonObject, key: SigningKey, *, embed: bool = False) -> str:
    """`embed`: with the public key in the header, as a DPoP proof and a delegation have it, instead of its name."""
    named = {"jwk": key.public_jwk} if embed else {"kid": key.kid}
    header = {"alg": key.alg, "typ": typ} | named
    signed = ".".join(to_base64url(to_json(part).encode()) for part in (header, claims))
    jws = f"{signed}.{to_base64url(key.sign(signed.encode('ascii')))}"
    if len(jws) > _LONGEST:
        raise BailiwickError("request_malformed", f"{len(jws)} characters, and {_LONGEST} is the most")
    return jws


def signed_part(jws: str) -> str:
    """Header and payload. The signature is left out of names: ECDSA has a second one that is valid too."""
    return jws.rpartition(".")[0]


def random_id() -> str:
    """16 random bytes, base64url."""
    return to_base64url(secrets.token_bytes(16))


def is_compact(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and _parts(value) is not None


def _parts(jws: str) -> tuple[Any, bytes, bytes] | None:
    segments = jws.split(".")
    if len(segments) != 3:
        return None
    header, payload, signature = (from_base64url(segment) for segment in segments)
    if header is None or payload is None or signature is None:
        return None
    try:
        return parse_json(header), payload, signature
    except BailiwickError:
        return None


def claimed_kid(jws: str) -> str | None:
    """Only good for finding the key with which to verify."""
    parts = _parts(jws)
    kid = None if parts is None else member(parts[0], "kid")
    return kid if isinstance(kid, str) else None


def claims_unverified(jws: str) -> Any:
    """For our own credential, or for a name that the decision point reads for itself. None if it cannot be read."""
    parts = _parts(jws)
    try:
        return None if parts is None else parse_json(parts[1])
    except BailiwickError:
        return None


def verified(jws: object, typ: str, kid: str, jwk: object) -> JsonObject | None:
    """The claims of a JWS of exactly this kind by exactly this ES256 key; None for everything else. The payload is not read
    before the signature is verified, and no header member but `alg`, `typ` and `kid` is accepted."""
    if not isinstance(jws, str) or len(jws) > _LONGEST:
        return None
    parts = _parts(jws)
    if parts is None:
        return None
    header, payload, signature = parts
    if header != {"alg": "ES256", "typ": typ, "kid": kid}:
        return None
    if not is_es256(jwk, signed_part(jws).encode("ascii"), signature):
        return None
    try:
        claims = parse_json(payload)
    except BailiwickError:
        return None
    return claims if isinstance(claims, dict) else None  # pyright: ignore[reportUnknownVariableType]
