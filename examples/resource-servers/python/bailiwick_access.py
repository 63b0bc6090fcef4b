"""Who calls, and what they may do: a DPoP-bound access token of Bailiwick's issuer (RFC 9068, RFC 9396) and the proof beside it.

JWTs and keys are PyJWT's. We know of no library on PyPI for DPoP proofs that is kept and tried, so the checks of RFC 9449 §4.3 are written out: `_proof`.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.parse
import urllib.request

import jwt

LEEWAY = 5  # seconds that two clocks may be apart
PROOF_LIFE = 60  # seconds after its iat that a proof is taken
MOST_PROOFS = 100_000  # remembered at once; a full memory refuses


class Refused(Exception):
    """`error` is what the challenge says (RFC 9449 §7.1); None: nothing was shown, so there is nothing to say of it."""

    def __init__(self, error, why):
        super().__init__(why)
        self.error = error


class Access:
    def __init__(self, issuer, base_url):
        self._issuer, self.base_url = issuer, base_url
        self._keys = _Keys(issuer)
        self._seen = _Seen()
        # New at each start: a proof made before the start is invalid. So a restart may lose the memory of used proofs.
        self.nonce = secrets.token_urlsafe(16)

    def adopt(self, nonce):
        """The decision point behind this server wants this nonce, and a proof has room for one: from now on it is ours too.

        That takes nothing away from us: a proof with it that a memory of ours has lost, the decision point has counted.
        """
        self.nonce = nonce

    def claims(self, method, path, authorization, proofs):
        """The token's claims, once everything holds. `authorization`, `proofs`: every header field of that name."""
        if not authorization and not proofs:
            raise Refused(None, "no credential")
        if len(authorization) != 1 or len(proofs) != 1:
            raise Refused("invalid_token", "one Authorization and one DPoP header are needed")
        scheme, _, token = authorization[0].partition(" ")
        if scheme.lower() != "dpop":
            raise Refused("invalid_token", "a bound token needs the DPoP scheme")
        claims = self._token(token)
        self._proof(proofs[0], method, self.base_url + path, token, claims["cnf"]["jkt"])
        return claims

    def _token(self, token):
        try:
            header = jwt.get_unverified_header(token)
            # Exactly these: no crit, and no jku, jwk, x5u or x5c, which would bring a key.
            if set(header) != {"alg", "kid", "typ"} or header["typ"] != "at+jwt" or header["alg"] != "ES256":
                raise ValueError("header")
            claims = jwt.decode(
                token,
                self._keys.find(header["kid"]),
                algorithms=["ES256"],
                issuer=self._issuer,
                audience=self.base_url,
                leeway=LEEWAY,
                options={"require": ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "cnf", "authorization_details"]},
            )
            if not isinstance(claims["cnf"]["jkt"], str):
                raise ValueError("cnf")
            return claims
        except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            raise Refused("invalid_token", f"the token does not hold: {type(error).__name__}") from error

    def _proof(self, proof, method, url, token, jkt):
        try:
            header = jwt.get_unverified_header(proof)
            if not set(header) <= {"alg", "jwk", "typ", "kid"} or header["typ"] != "dpop+jwt":
                raise ValueError("header")
            jwk = _public_jwk(header["jwk"])
            alg = "ES256" if jwk["kty"] == "EC" else "EdDSA"
            said = jwt.decode(
                proof,
                jwt.PyJWK(jwk, algorithm=alg),
                algorithms=[alg],
                options={"require": ["iat", "jti"], "verify_aud": False, "verify_iat": False},
            )
            if said["htm"] != method or _target(said["htu"]) != _target(url):
                raise ValueError("for another call")
            if said["ath"] != _b64(hashlib.sha256(token.encode()).digest()):
                raise ValueError("for another token")
            if _b64(hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest()) != jkt:
                raise ValueError("by another key")
            if not -LEEWAY <= time.time() - said["iat"] <= PROOF_LIFE + LEEWAY:
                raise ValueError("of another time")
            if not isinstance(said["jti"], str) or not 0 < len(said["jti"]) <= 256:
                raise ValueError("jti")
        except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            raise Refused("invalid_dpop_proof", f"the proof does not hold: {error}") from error
        if said.get("nonce") != self.nonce:
            raise Refused("use_dpop_nonce", "the proof needs the nonce of this answer")
        if not self._seen.first(jkt, said["jti"]):
            raise Refused("invalid_dpop_proof", "the proof was used before")


def allows(claims, action, kind, name):
    """Whether a permission is for this. One that says more (`where`, uses, a price) is not ours to judge: the decision point counts."""
    plain = {"actions": [action], "resource": {"type": kind, "id": name}}
    details = claims["authorization_details"]
    return any(isinstance(each, dict) and plain in each.get("permissions", []) for each in details)


def _public_jwk(jwk):
    """The members of its thumbprint (RFC 7638); ValueError for a private key and for what no algorithm here is for."""
    if "d" in jwk or (jwk["kty"], jwk["crv"]) not in (("EC", "P-256"), ("OKP", "Ed25519")):
        raise ValueError("jwk")
    return {name: jwk[name] for name in ("crv", "kty", "x", "y") if name in jwk and (name != "y" or jwk["kty"] == "EC")}


def _target(url):
    """Without query and fragment; scheme and host in lower case, no default port. A path that is written otherwise is another one."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}[parts.scheme.lower()]
    if parts.username is not None or parts.hostname is None:
        raise ValueError("htu")
    return parts.scheme.lower(), parts.hostname.lower(), port, parts.path or "/"


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Keys:
    """The issuer's keys: found by its address, which is configured, and by nothing that a token says."""

    def __init__(self, issuer):
        metadata = _fetch(issuer + "/.well-known/oauth-authorization-server")
        if metadata["issuer"] != issuer:
            raise ValueError("the metadata is another issuer's")
        self._uri, self._lock = metadata["jwks_uri"], threading.Lock()
        self._keys, self._tried, self._read = {}, 0.0, 0.0

    def find(self, kid):
        with self._lock:
            now, age = time.monotonic(), time.monotonic() - self._read
            # A minute, so that a key that was withdrawn soon counts no more; and no stranger makes us ask the issuer for each kid.
            if not self._keys or age > 60 or (kid not in self._keys and now - self._tried > 10):
                self._refresh(now)
            if time.monotonic() - self._read > 600:
                raise ValueError("the issuer's keys cannot be read")
            return self._keys[kid]

    def _refresh(self, now):
        self._tried = now
        try:
            self._keys = {key["kid"]: jwt.PyJWK(key) for key in _fetch(self._uri)["keys"] if key.get("alg") == "ES256"}
            self._read = now
        except OSError:
            pass


def _fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read(1 << 20))


class _Seen:
    """Proofs that were used, until they are too old by themselves; by key and jti, never by their text, which can be spelled anew."""

    def __init__(self):
        self._until, self._lock = {}, threading.Lock()

    def first(self, jkt, jti):
        now = time.monotonic()
        with self._lock:
            if len(self._until) >= MOST_PROOFS:
                self._until = {name: until for name, until in self._until.items() if until > now}
            if self._until.get((jkt, jti), 0) > now or len(self._until) >= MOST_PROOFS:
                return False
            self._until[jkt, jti] = now + PROOF_LIFE + 2 * LEEWAY
            return True
