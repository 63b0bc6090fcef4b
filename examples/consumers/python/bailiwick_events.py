"""Whose word is this event? Keys and signatures, from trust.json down (docs/reference/events, DESIGN sections 3 and 4).

Trust starts at one key: the root's, in trust.json, which you got by a way that you trust and not from the broker.
The root certifies services' keys; the certificates stand in registry.v1; and every event on decisions.v1 carries a
signature by such a key. So the broker, and anyone who can write to it, can hold events back but not make one up.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

MAX_EVENT_BYTES = 65_535
MAX_DEPTH = 32
# Without a quote or backslash between, these three strings can only be the last member of the outermost object.
TAIL = re.compile(rb',"jws":"([A-Za-z0-9_-]{1,400})\.\.([A-Za-z0-9_-]{86})"\}\Z')
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SERVICE_OF = {
    "credential": "issuer",
    "issuer-event": "issuer",
    "approval-event": "approval",
    "notification": "approval",
    "pdp-event": "policy-decision",
    "permit": "policy-decision",
    "binding-token": "policy-decision",
    "evidence-event": "evidence",
}
TYPES = {
    "registry.v1": {
        f"{entity}.{verb}"
        for entity in "service-key agent approver rule tool-server enforcement-point auditor recovery policy-set".split()
        for verb in ("registered", "changed", "retired")
    },
    "decisions.v1": {
        "decision.allowed", "decision.denied", "decision.abandoned",
        "outcome.reported", "outcome.missing", "outcome.refused", "denials.summarised", "candidate.answered",
    },
    "approvals.v1": {
        "request.received", "request.endorsed", "request.approved", "request.denied", "request.expired",
        "request.cancelled", "request.withdrawn", "request.reviewed", "enrolment.offered", "revocation.requested",
    },
    "grants.v1": {
        "grant.created", "grant.completed", "grant.expired", "grant.suspended", "grant.resumed", "grant.rebound",
        "delegation.redeemed", "credential.intended", "credential.issued", "credential.refused",
    },
    "evidence.v1": {"leaf.appended"},
}  # fmt: skip


class Refused(Exception):
    """The event does not count. `code` is one of docs/reference/errors.md."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Key:
    service: str
    purpose: str
    topics: tuple[str, ...]
    jwk: dict
    not_before: str  # Times of this one form order as text.
    not_after: str


class KeyRing:
    """The keys that this reader believes. It learns them from registry.v1 alone, in its order, from its start."""

    def __init__(self, trust: bytes):
        anchor = strict_json(trust)
        if anchor.get("v") != 1:
            raise ValueError("trust.json is of another version")
        self._installation = anchor["installation"]
        self._root = anchor["root"]["jwk"]
        self._keys: dict[str, Key] = {}

    def read_registry(self, record_key: str, event: bytes) -> None:
        """Folds one event of registry.v1. Raises Refused for one that the issuer did not sign."""
        said = self._open("registry.v1", record_key, event)
        if said["type"] in ("service-key.registered", "service-key.changed"):
            # The certificate first: an issuer's own key comes in an event that it signs itself.
            self._certify(member(said, "data", "value", "certificate"))
        self._verify("registry.v1", said, event)
        if said["type"] == "service-key.retired":
            # Approvers authorised it; this reader takes the issuer's word, which can only make it believe less.
            kid = member(said, "data", "entity", "id")
            key = self._keys.get(kid)
            if key is not None:
                self._keys[kid] = replace(key, not_after=min(key.not_after, said["time"]))

    def verify(self, topic: str, record_key: str, event: bytes) -> dict:
        """Gives the event if a key that the root certified for this topic, valid at its time, signed these bytes."""
        said = self._open(topic, record_key, event)
        self._verify(topic, said, event)
        return said

    def _open(self, topic: str, record_key: str, event: bytes) -> dict:
        if len(event) > MAX_EVENT_BYTES:
            raise Refused("event_too_large")
        said = strict_json(event)
        if not isinstance(said, dict) or not isinstance(said.get("data"), dict):
            raise Refused("event_malformed")
        texts = [said.get(name) for name in ("id", "source", "type", "time", "partitionkey")]
        if not all(isinstance(text, str) for text in texts) or not TIME.fullmatch(said["time"]):
            raise Refused("event_malformed")
        if said["type"] not in TYPES[topic]:
            raise Refused("event_type_unknown")
        if said["partitionkey"] != record_key:
            raise Refused("event_malformed")
        return said

    def _verify(self, topic: str, said: dict, event: bytes) -> None:
        tail = TAIL.search(event)
        if tail is None:
            raise Refused("event_malformed")
        segment, signature = tail[1], base64url(tail[2])
        header = json_object(base64url(segment))
        if signature is None or header is None or not isinstance(header.get("kid"), str):
            raise Refused("event_malformed")
        key = self._keys.get(header["kid"])
        if key is None:
            raise Refused("key_unknown")
        if not key.purpose.endswith("-event") or topic not in key.topics:
            raise Refused("key_purpose_wrong")
        if not key.not_before <= said["time"] < key.not_after:
            raise Refused("token_expired")
        # What would choose another algorithm, or bring a key, is never followed: the header only repeats what we know.
        if header != {"alg": "ES256", "kid": header["kid"], "typ": "bailiwick-event+jws"}:
            raise Refused("token_malformed")
        unsigned = event[: tail.start()] + b"}"
        if not signed_by(key.jwk, segment + b"." + to_base64url(unsigned), signature):
            raise Refused("signature_invalid")
        if not said["source"].startswith(f"/{key.service}/"):
            raise Refused("key_purpose_wrong")

    def _certify(self, certificate: str) -> None:
        """Takes a key that the root certified. One that is known already can only become narrower."""
        said = self._certified_claims(certificate)
        if said is None:
            return
        topics, purpose = tuple(said["topics"]), said["purpose"]
        key = Key(said["service"], purpose, topics, said["jwk"], said["not_before"], said["not_after"])
        known = self._keys.get(said["kid"])
        if known is None or (
            known.purpose == purpose
            and set(topics) <= set(known.topics)
            and known.not_before <= key.not_before
            and key.not_after <= known.not_after
        ):
            self._keys[said["kid"]] = key

    def _certified_claims(self, certificate: str) -> dict | None:
        parts = certificate.encode().split(b".")
        if len(parts) != 3:
            return None
        header, said, signature = json_object(base64url(parts[0])), json_object(base64url(parts[1])), base64url(parts[2])
        if header is None or said is None or signature is None:
            return None
        if header != {"alg": "ES256", "kid": thumbprint(self._root), "typ": "bailiwick-key+jws"}:
            return None
        if not signed_by(self._root, parts[0] + b"." + parts[1], signature):
            return None
        # From here on the root's own words; still, only what is understood in full is believed.
        usual = {"installation", "kid", "jwk", "purpose", "service", "topics", "not_before", "not_after"}
        if said.keys() != usual or said["installation"] != self._installation:
            return None
        if SERVICE_OF.get(said["purpose"]) != said["service"] or said["kid"] != thumbprint(said["jwk"]):
            return None
        times = (said["not_before"], said["not_after"])
        return said if all(TIME.fullmatch(time) for time in times) and times[0] < times[1] else None


def member(value, *names: str) -> str:
    """The text at this place of an event. Nothing guarantees its form, not even a signature."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str):
        raise Refused("event_malformed")
    return value


def strict_json(data: bytes):
    """JSON that every reader understands alike: UTF-8, no name twice, no lone surrogates, 32 levels."""

    def members(pairs):
        found = dict(pairs)
        if len(found) != len(pairs) or "__proto__" in found:
            raise ValueError("a name twice, or a forbidden one")
        return found

    def no_constant(name):
        raise ValueError(f"{name} is not JSON")

    try:
        # decode() first: json.loads of bytes would also take UTF-16 and UTF-32.
        value = json.loads(data.decode("utf-8"), object_pairs_hook=members, parse_constant=no_constant)
        check_depth(value, MAX_DEPTH)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails on a lone surrogate
        return value
    except (ValueError, RecursionError):
        raise Refused("json_malformed") from None


def check_depth(value, left: int) -> None:
    if isinstance(value, (dict, list)):
        if left == 0:
            raise ValueError("nested too deeply")
        for inner in value.values() if isinstance(value, dict) else value:
            check_depth(inner, left - 1)


def json_object(data: bytes | None) -> dict | None:
    try:
        value = strict_json(data) if data is not None else None
    except Refused:
        return None
    return value if isinstance(value, dict) else None


def base64url(text: bytes) -> bytes | None:
    """Strict: a text that would not be written this way again (padding, unused bits) is another text."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return data if to_base64url(data) == text else None


def to_base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def thumbprint(jwk: dict) -> str:
    """RFC 7638, of a P-256 key."""
    text = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return to_base64url(hashlib.sha256(text.encode()).digest()).decode()


def signed_by(jwk: dict, data: bytes, signature: bytes) -> bool:
    """ES256 (RFC 7518 section 3.4): r and s, 32 bytes each, over SHA-256."""
    x, y = base64url(jwk["x"].encode()), base64url(jwk["y"].encode())
    if jwk["kty"] != "EC" or jwk["crv"] != "P-256" or x is None or y is None or len(x) != 32 or len(y) != 32:
        return False
    if len(signature) != 64:
        return False
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    try:
        # public_key() refuses a point that is not on the curve.
        key = EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), SECP256R1()).public_key()
        key.verify(der, data, ECDSA(SHA256()))
        return True
    except (InvalidSignature, ValueError):
        return False
