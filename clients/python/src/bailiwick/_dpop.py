"""DPoP proofs (RFC 9449), with the digest of the action that is asked for."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

from ._json import JsonObject, sha256
from ._jws import random_id, sign
from .errors import BailiwickError
from .keys import SigningKey

NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}")
_USE_NONCE = re.compile(r"\bDPoP\b.*\berror=\"?use_dpop_nonce\b", re.IGNORECASE)
_BAD_TOKEN = re.compile(r"\berror=\"?invalid_token\b", re.IGNORECASE)


def target_of(url: str) -> str:
    """`htu`: scheme, host, port if it is not the default, and path; without query and fragment."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise BailiwickError("request_malformed", "not an http(s) URL")
    return f"{origin_of(url)}{parts.path or '/'}"


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


class Prover:
    """Makes proofs with one key, and keeps the newest nonce of each origin (RFC 9449 section 8.2)."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        self._nonces: dict[str, str] = {}

    def nonce(self, url: str) -> str | None:
        return self._nonces.get(origin_of(url))

    def keep(self, url: str, nonce: str | None) -> None:
        """What an answer's `DPoP-Nonce` says. At most 64 origins are remembered."""
        if nonce is None or not NONCE.fullmatch(nonce):
            return
        origin = origin_of(url)
        self._nonces.pop(origin, None)
        self._nonces[origin] = nonce
        if len(self._nonces) > 64:
            self._nonces.pop(next(iter(self._nonces)), None)

    def prove(self, method: str, url: str, *, token: str | None = None, digest: str | None = None) -> str:
        claims: JsonObject = {"htm": method, "htu": target_of(url), "iat": int(time.time()), "jti": random_id()}
        if token is not None:
            claims["ath"] = sha256(token)
        nonce = self.nonce(url)
        if nonce is not None:
            claims["nonce"] = nonce
        if digest is not None:
            claims["action_digest"] = digest
        return sign("dpop+jwt", claims, self.key, embed=True)


def asks_for_nonce(status: int, challenge: str | None) -> bool:
    return status == 401 and _USE_NONCE.search(challenge or "") is not None


def refuses_token(status: int, challenge: str | None) -> bool:
    return status == 401 and _BAD_TOKEN.search(challenge or "") is not None
