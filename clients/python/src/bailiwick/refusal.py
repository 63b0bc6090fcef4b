"""A denial, as a value, and as the answer that an agent gets."""

from __future__ import annotations

from dataclasses import dataclass

from ._codes import ERRORS, REASONS
from ._json import JsonObject
from .errors import BailiwickError

_CHALLENGES = {
    "credential_malformed": "invalid_token",
    "credential_invalid": "invalid_token",
    "credential_expired": "invalid_token",
    "credential_audience_wrong": "invalid_token",
    "credential_unrecorded": "invalid_token",
    "credential_revoked": "invalid_token",
    "proof_missing": "invalid_dpop_proof",
    "proof_invalid": "invalid_dpop_proof",
    "proof_key_mismatch": "invalid_dpop_proof",
    "proof_replayed": "invalid_dpop_proof",
    "proof_action_mismatch": "invalid_dpop_proof",
    "proof_nonce_required": "use_dpop_nonce",
}


@dataclass(frozen=True)
class Refusal:
    """Nothing was executed."""

    #: The decision point's reason, or this enforcement point's own code.
    reason: str
    decision_id: str | None = None
    #: Present if a person could allow it: where to ask, until when, and the decision point's signed statement of the denial.
    access_request: JsonObject | None = None
    #: The nonce that the next proof needs.
    dpop_nonce: str | None = None
    retry_after: float | None = None

    @property
    def status(self) -> int:
        """401 where the caller must show something else, otherwise 403, or what the code's own error has."""
        if self.reason in REASONS:
            return 401 if self.reason == "credential_missing" or self.reason in _CHALLENGES else 403
        return ERRORS[self.reason].status if self.reason in ERRORS else 500

    @property
    def challenge(self) -> str | None:
        """`WWW-Authenticate` for a 401 (RFC 9449 section 7.1); without a credential it has no `error`."""
        if self.status != 401:
            return None
        error = _CHALLENGES.get(self.reason)
        said = "" if error is None else f'error="{error}", '
        return f'DPoP {said}algs="ES256 EdDSA Ed25519"'

    @property
    def seconds(self) -> float | None:
        """In how many seconds the same call may succeed."""
        if self.retry_after is not None:
            return self.retry_after
        if self.reason in REASONS:
            return REASONS[self.reason].retry_after
        return 1 if self.reason in ERRORS and ERRORS[self.reason].retryable else None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The header fields of an answer that says so: what to show, or when to try again, and the nonce."""
        found: list[tuple[bytes, bytes]] = []
        if self.challenge is not None:
            found.append((b"www-authenticate", self.challenge.encode("ascii")))
        elif self.seconds is not None:
            found.append((b"retry-after", str(int(self.seconds)).encode("ascii")))
        if self.dpop_nonce is not None and self.dpop_nonce.isascii() and self.dpop_nonce.isprintable():
            found.append((b"dpop-nonce", self.dpop_nonce.encode("ascii")))
        return found

    @property
    def problem(self) -> JsonObject:
        """The problem document (RFC 9457)."""
        denial = REASONS.get(self.reason)
        said = {
            "type": f"urn:bailiwick:{'error' if denial is None else 'denial'}:{self.reason}",
            "title": "The action is denied" if denial is not None else ERRORS[self.reason].title,
            "status": self.status,
            "code": self.reason,
            "detail": None if denial is None else denial.remedy,
            "decision_id": self.decision_id,
            "access_request": self.access_request,
            "retry_after": self.seconds,
        }
        return {name: each for name, each in said.items() if each is not None}


class Denied(BailiwickError):
    """What a guarded function raises instead of running: nothing was executed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
