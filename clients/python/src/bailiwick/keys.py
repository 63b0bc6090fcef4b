"""Signing keys: P-256 or Ed25519, named by their thumbprint (RFC 7638)."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from ._json import JsonObject, from_base64url, member, parse_json, sha256, to_base64url, to_json
from .errors import BailiwickError

Purpose = Literal["agent", "pep-caller", "outcome"]
_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class SigningKey:
    """A private key for one purpose: it signs nothing else. It cannot be pickled, and is not shown."""

    __slots__ = ("_key", "alg", "kid", "public_jwk", "purpose")

    def __init__(self, purpose: Purpose, key: _Private) -> None:
        self.purpose: Purpose = purpose
        self._key = key
        self.public_jwk: JsonObject = _public_jwk(key)
        self.alg = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "EdDSA"
        self.kid = thumbprint(self.public_jwk)

    def sign(self, data: bytes) -> bytes:
        """A JWS signature (RFC 7515): 64 bytes."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        r, s = utils.decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def __repr__(self) -> str:
        return f"<{self.purpose} key {self.kid}>"

    def __reduce__(self) -> Any:
        raise TypeError("a key is not copied to another process")


def thumbprint(jwk: JsonObject) -> str:
    names = ("crv", "kty", "x", "y") if jwk["kty"] == "EC" else ("crv", "kty", "x")
    return sha256(to_json({name: jwk[name] for name in names}))


def generate_key(purpose: Purpose = "agent") -> SigningKey:
    """A new key, in memory only."""
    return SigningKey(purpose, ec.generate_private_key(ec.SECP256R1()))


def read_key_file(path: str | os.PathLike[str], purpose: Purpose, *, secret: bytes | None = None) -> SigningKey:
    """The key in a key file of Bailiwick, such as `bailiwick keys point` and `bailiwick agents keys` write.

    Only its owner may have access to the file (0600). `secret` opens an encrypted file. Raises `config_invalid`, and
    `key_purpose_wrong` for a key of another purpose; never says what is in the file.
    """
    file = _read_secret(Path(path))
    if member(file, "purpose") != purpose:
        raise BailiwickError("key_purpose_wrong", f"{path} is no {purpose} key")
    try:
        key = _opened(file, secret)
    except (ValueError, TypeError, KeyError):
        raise BailiwickError("config_invalid", f"{path} holds no usable key") from None
    found = SigningKey(purpose, key)
    if secret is not None and member(file, "kid") != found.kid:
        raise BailiwickError("config_invalid", f"{path} holds another key than it names")
    return found


def agent_key(path: str | os.PathLike[str]) -> SigningKey:
    """The key of a workload, kept in this file (0600), and made if there is none."""
    target = Path(path)
    if not target.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        jwk = _public_jwk(key) | {"d": to_base64url(key.private_numbers().private_value.to_bytes(32, "big"))}
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            opened = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return read_key_file(target, "agent")
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(to_json({"purpose": "agent", "jwk": jwk}) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return read_key_file(target, "agent")


def _read_secret(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            # Once it is open: the file behind the name may change.
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o177:
                raise BailiwickError("config_invalid", f"{path} is open to others: its mode must be 0600")
            return parse_json(file.read(65_536))
    except OSError:
        raise BailiwickError("config_invalid", f"{path} cannot be read") from None
    except BailiwickError as error:
        raise BailiwickError("config_invalid", error.detail or f"{path} is not JSON") from None


def _opened(file: Any, secret: bytes | None) -> _Private:
    encrypted = member(file, "encrypted")
    if secret is not None or encrypted is not None:
        if secret is None or not isinstance(encrypted, str):
            raise ValueError
        key = serialization.load_pem_private_key(encrypted.encode(), secret)
        if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
            raise ValueError
        return key
    jwk = file["jwk"]
    d = _coordinate(jwk["d"])
    key = (
        ec.derive_private_key(int.from_bytes(d, "big"), ec.SECP256R1())
        if jwk["kty"] == "EC" and jwk["crv"] == "P-256"
        else ed25519.Ed25519PrivateKey.from_private_bytes(d)
    )
    if any(jwk[name] != value for name, value in _public_jwk(key).items()):
        raise ValueError
    return key


def _public_jwk(key: _Private) -> JsonObject:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": to_base64url(key.public_key().public_bytes_raw())}
    if key.curve.name != "secp256r1":
        raise ValueError
    numbers = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": to_base64url(numbers.x.to_bytes(32, "big")),
        "y": to_base64url(numbers.y.to_bytes(32, "big")),
    }


def _coordinate(value: object) -> bytes:
    data = from_base64url(value)
    # Longer ones with leading zeros would give one key many thumbprints.
    if data is None or len(data) != 32:
        raise ValueError
    return data


def is_es256(jwk: Any, data: bytes, signature: bytes) -> bool:
    """Whether this P-256 key signed the data. False if the key is of any other kind."""
    try:
        if jwk["kty"] != "EC" or jwk["crv"] != "P-256" or len(signature) != 64:
            return False
        x, y = (int.from_bytes(_coordinate(jwk[name]), "big") for name in ("x", "y"))
        r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return False
    return True
