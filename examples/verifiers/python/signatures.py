"""Who signed this statement? Passkeys (WebAuthn Level 3 section 7.2), and JWS of the keys that Bailiwick certifies.

The ceremony is judged by the library `webauthn`, which knows nothing of Bailiwick. What it leaves open stands here.
"""

from bailiwick_events import Refused, base64url, json_object, signed_by, strict_json, thumbprint
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jcs import jcs_hash
from webauthn import verify_authentication_response
from webauthn.helpers import decode_credential_public_key

# ES256, EdDSA, RS256: the library would also take SHA-1.
ALGORITHMS = {-7, -8, -257}


class Fault(Exception):
    """What is wrong, in words. None of it may be believed."""


def signers(statement: dict, assertions: list, approvers: dict[str, dict], trust: dict) -> dict[str, dict]:
    """The distinct people behind these assertions over exactly this statement, by id. Two passkeys of one are one."""
    people = {}
    for assertion in assertions:
        holders = [
            (person, passkey)
            for person in approvers.values()
            for passkey in person["credentials"]
            if passkey["credential_id"] == assertion["credential_id"]
        ]
        if len(holders) != 1:
            raise Fault(f"the passkey is of {len(holders)} enrolled people")
        person, passkey = holders[0]
        verify_assertion(statement, assertion, passkey, trust)
        people[person["id"]] = person
    return people


def verify_assertion(statement: dict, assertion: dict, passkey: dict, trust: dict) -> None:
    """The passkey's challenge is SHA-256 of the statement's JCS form; present, verified, at our origin, for our domain."""
    key = strict(passkey["public_key"])
    client_data = strict_json(strict(assertion["client_data_json"]))
    if client_data.get("crossOrigin") is True or "topOrigin" in client_data:
        raise Fault("a page that framed the console asked for the assertion")
    try:
        if int(decode_credential_public_key(key).alg) not in ALGORITHMS:
            raise Fault("the passkey has an algorithm that does not count")
        verify_authentication_response(
            credential={
                "id": assertion["credential_id"],
                "rawId": assertion["credential_id"],
                "type": "public-key",
                "clientExtensionResults": {},
                "response": {
                    "clientDataJSON": assertion["client_data_json"],
                    "authenticatorData": assertion["authenticator_data"],
                    "signature": assertion["signature"],
                },
            },
            expected_challenge=strict(jcs_hash(statement)),
            expected_rp_id=trust["rp_id"],
            expected_origin=trust["origins"],
            credential_public_key=key,
            # As it was when the passkey was registered; a synced passkey stays at 0.
            credential_current_sign_count=passkey["sign_count"],
            require_user_verification=True,
        )
    except Fault:
        raise
    except Exception as error:  # the library's own errors share no class; after any error, nothing was verified
        raise Fault(f"assertion: {error}") from None


def claims(jws: str, jwk: dict, typ: str) -> dict:
    """What this key says in this compact JWS, of exactly this kind. The header chooses nothing."""
    parts = jws.encode().split(b".")
    header, said = (json_object(base64url(part)) for part in parts[:2]) if len(parts) == 3 else (None, None)
    signature = base64url(parts[2]) if len(parts) == 3 else None
    if header is None or said is None or signature is None:
        raise Fault(f"{typ}: it cannot be read")
    data = parts[0] + b"." + parts[1]
    if jwk.get("kty") == "OKP":
        good = header.get("alg") == "EdDSA" and ed25519_signed(jwk, data, signature)
    else:
        public = {name: jwk[name] for name in ("kty", "crv", "x", "y")}
        kid_fits = header.get("kid") in (None, thumbprint(public))
        good = header.get("alg") == "ES256" and kid_fits and signed_by(public, data, signature)
    if header.get("typ") != typ or "crit" in header or not good:
        raise Fault(f"{typ}: another key, or another kind")
    return said


def ed25519_signed(jwk: dict, data: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(strict(jwk["x"])).verify(signature, data)
        return jwk["crv"] == "Ed25519"
    except (InvalidSignature, ValueError):
        return False


def strict(text: str) -> bytes:
    data = base64url(text.encode())
    if data is None:
        raise Refused("event_malformed")
    return data
