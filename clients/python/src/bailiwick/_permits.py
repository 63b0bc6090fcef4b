"""Permits: whose keys may sign one, what one must say, and that it counts once."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from ._json import JsonObject, from_base64url, member, salted_hash, text_of
from ._jws import claimed_kid, verified
from ._pdp import Pdp
from .errors import BailiwickError
from .keys import thumbprint
from .trust import Trust

#: How far the decision point's clock may be off, and how long a permit may live, in seconds.
LEEWAY = 1.0
LONGEST = 5
#: A key that the decision point no longer lists stops counting within this time.
_KEPT = 60.0
#: The list is read again for an unknown key, but not more often: permits come from outside.
_AGAIN = 1.0
_MEMBERS = {"iss", "aud", "instance", "jti", "iat", "exp", "action_digest", "action_salt", "grant", "obligations"}
_MOST_USED = 100_000


@dataclass(frozen=True)
class Permit:
    decision_id: str
    grant: str
    issued_at: float
    expires_at: float
    obligations: tuple[Any, ...]
    #: The action's name in the decision's event and in the outcome.
    action_hash: str


@dataclass(frozen=True)
class _Key:
    jwk: JsonObject
    not_before: float
    not_after: float


class PermitKeys:
    """Read from the decision point, and believed by the root's certificate alone: an impostor has none."""

    def __init__(self, pdp: Pdp, trust: Trust) -> None:
        self._pdp, self._trust = pdp, trust
        self._root_kid = thumbprint(trust.root)
        self._keys: dict[str, _Key] = {}
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, kid: str) -> JsonObject | None:
        """The key with this thumbprint, if it may sign permits now. Raises `pdp_unavailable` if the list cannot be read."""
        with self._lock:
            age = time.monotonic() - self._read_at
            if age >= _KEPT or (kid not in self._keys and age >= _AGAIN):
                self._read()
            key = self._keys.get(kid)
        return key.jwk if key is not None and key.not_before <= time.time() < key.not_after else None

    def _read(self) -> None:
        at = time.monotonic()
        answer, body = self._pdp.call("GET", "/access/v1/jwks")
        listed = member(body, "keys")
        if answer.status != 200 or not isinstance(listed, list):
            raise BailiwickError("pdp_unavailable", "no permit keys")
        found = [self._certified(member(each, "certificate")) for each in cast("list[Any]", listed)]
        self._keys = {thumbprint(key.jwk): key for key in found if key is not None}
        self._read_at = at

    def _certified(self, certificate: object) -> _Key | None:
        """The key inside the certificate, not the one beside it."""
        said = verified(certificate, "bailiwick-key+jws", self._root_kid, self._trust.root)
        if said is None or said.get("installation") != self._trust.installation:
            return None
        if said.get("purpose") != "permit" or said.get("service") != "policy-decision":
            return None
        try:
            key = _Key(said["jwk"], _seconds(said["not_before"]), _seconds(said["not_after"]))
            return key if thumbprint(key.jwk) == said["kid"] else None
        except (KeyError, TypeError, ValueError):
            return None


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


class Permits:
    def __init__(self, pdp: Pdp, trust: Trust) -> None:
        self._pdp, self._keys = pdp, PermitKeys(pdp, trust)
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()

    def redeem(self, jws: str, *, decision_id: str, digest: str, text: str) -> Permit | str:
        """The permit, or the code that says why it does not count. It counts once, for this action, decision and start."""
        kid = claimed_kid(jws)
        jwk = None if kid is None else self._keys.find(kid)
        claims = None if kid is None or jwk is None else verified(jws, "bailiwick-permit+jwt", kid, jwk)
        permit = None if claims is None else self._read(claims, decision_id, digest, text)
        if permit is None:
            return "permit_invalid"
        return permit if self._take(decision_id) else "permit_used"

    def _read(self, claims: JsonObject, decision_id: str, digest: str, text: str) -> Permit | None:
        expected = {"iss": self._pdp.url, "aud": self._pdp.id, "instance": self._pdp.instance}
        expected |= {"action_digest": digest, "jti": decision_id}
        if claims.keys() - _MEMBERS or any(claims.get(name) != value for name, value in expected.items()):
            return None
        iat, exp, grant = claims.get("iat"), claims.get("exp"), text_of(claims.get("grant"))
        if type(iat) is not int or type(exp) is not int or grant is None or not 0 < exp - iat <= LONGEST:
            return None
        if not iat - LEEWAY <= time.time() < exp + LEEWAY:
            return None
        obligations = claims.get("obligations", [])
        if not isinstance(obligations, list) or len(cast("list[Any]", obligations)) > 16:
            return None
        name = digest
        if "action_salt" in claims:
            salt = claims["action_salt"]
            # The digest must not stand in for a salt that is none: it can be guessed from.
            if not isinstance(salt, str) or not re.fullmatch(r"[\w-]{21}[AQgw]", salt) or from_base64url(salt) is None:
                return None
            name = salted_hash(salt, text) or ""
        return Permit(decision_id, grant, float(iat), float(exp), tuple(cast("list[Any]", obligations)), name)

    def _take(self, decision_id: str) -> bool:
        # By the clock that judges a permit's life: set back, it must not let one count again.
        now = time.time()
        with self._lock:
            while self._used and next(iter(self._used.values())) <= now:
                self._used.pop(next(iter(self._used)))
            # Full of permits that still matter: forgetting one would let it count twice.
            if decision_id in self._used or len(self._used) >= _MOST_USED:
                return False
            self._used[decision_id] = now + LONGEST + 2 * LEEWAY
            return True
