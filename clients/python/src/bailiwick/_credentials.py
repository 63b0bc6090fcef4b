"""Credentials: asked for at the token endpoint, kept in memory, and replaced before they expire."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlencode

from ._dpop import Prover, asks_for_nonce
from ._exchange import Answer, Exchange, Pause, Request, ask, failure, pauses
from ._json import member, sha256, text_of, to_json
from ._jws import claims_unverified, random_id, sign, signed_part
from .errors import BailiwickError

_MARGIN = 30.0
_ASSERTION_SECONDS = 60
_TYPES = {
    "registered_key": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "oidc": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "jwt_svid": "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
    "join_token": "urn:bailiwick:params:oauth:client-assertion-type:join-token",
}
_OAUTH_ERRORS = {
    "authorization_pending": "access_request_pending",
    "slow_down": "access_request_pending",
    "access_denied": "access_request_refused",
    "invalid_client": "caller_unauthenticated",
    "invalid_dpop_proof": "signature_invalid",
    "use_dpop_nonce": "signature_invalid",
    "invalid_authorization_details": "grant_unknown",
    "invalid_request": "request_malformed",
    "invalid_target": "request_malformed",
    "temporarily_unavailable": "service_unready",
    "server_error": "service_unready",
}
_WAITABLE = {"access_request_pending", "rate_limited", "service_unready", "service_unreachable"}

Taker = Literal["access-requests", "token"]


@dataclass(frozen=True)
class Attestation:
    """How an instance without a registered key shows which instance it is. `token` is called each time, with the service that takes
    the token and the only audience that the token may have; a token that the platform renewed is so used."""

    kind: Literal["jwt_svid", "oidc", "join_token"]
    token: Callable[[Taker, str], str]
    #: `oidc`: the audience in the registration, instead of the public address.
    audience: str | None = None

    def shown(self, taker: Taker, issuer: str, requests: str) -> str:
        """Raises `attestation_unavailable`; a token never appears in an error."""
        ours = self.audience or issuer
        theirs = requests if self.audience is None else f"{self.audience.rstrip('/')}/access/v1/requests"
        try:
            given = self.token(taker, ours if taker == "token" else theirs)
        except Exception:
            raise BailiwickError("attestation_unavailable", "the source of tokens of the workload failed") from None
        if not given or len(given) > 16_384 or not all("\x21" <= each <= "\x7e" for each in given):
            raise BailiwickError("attestation_unavailable", "what the source of tokens gave is no token")
        return given


def join_token(printed: str) -> Callable[[Taker, str], str]:
    """The two halves that `bailiwick agents join-token` prints: each service is shown its own, and could not use the other."""
    halves = printed.strip().split(".")
    if len(halves) != 2 or not all(halves):
        raise BailiwickError("config_invalid", "a join token is two secrets, joined by a dot")
    return lambda taker, _: halves[1 if taker == "token" else 0]


@dataclass(frozen=True, repr=False)
class Credential:
    """Bound to the agent's key: worthless without it, and never to be sent as Bearer."""

    token: str
    #: Seconds since the epoch.
    expires_at: float
    renew_at: float
    authorization_details: tuple[Any, ...] = ()
    #: When the grant or delegation behind it ends, seconds since the epoch; None: the issuer does not say.
    grant_expires_at: float | None = None

    def __repr__(self) -> str:
        return f"<credential until {self.expires_at:.0f}>"

    @property
    def audiences(self) -> tuple[str, ...]:
        """The APIs that it is for, as it says itself."""
        aud = member(claims_unverified(self.token), "aud")
        found = cast("list[Any]", aud) if isinstance(aud, list) else [aud]
        return tuple(each for each in found if isinstance(each, str))


@dataclass(frozen=True)
class Client:
    """Who asks the issuer, and where it is."""

    id: str
    prover: Prover
    issuer: str
    token_url: str
    requests_url: str
    attestation: Attestation | None

    def parameters(self) -> dict[str, str]:
        """Client authentication (RFC 7521 section 4.2). Made for each attempt: an assertion counts once."""
        kind = "registered_key" if self.attestation is None else self.attestation.kind
        return {"client_id": self.id, "client_assertion_type": _TYPES[kind], "client_assertion": self._assertion()}

    def _assertion(self) -> str:
        if self.attestation is not None:
            return self.attestation.shown("token", self.issuer, self.requests_url)
        now = int(time.time())
        claims = {"iss": self.id, "sub": self.id, "aud": self.issuer, "iat": now, "exp": now + _ASSERTION_SECONDS}
        return sign("client-authentication+jwt", claims | {"jti": random_id()}, self.prover.key)


class Held:
    """The credentials of one agent, by grant and API."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str | None], Credential] = {}

    def live(self, grant: str, resource: str | None) -> Credential | None:
        held = self._held.get((grant, resource))
        return held if held is not None and time.time() < held.renew_at else None

    def put(self, grant: str, resource: str | None, credential: Credential) -> None:
        now = time.time()
        for name in [name for name, each in self._held.items() if each.expires_at <= now]:
            self._held.pop(name, None)
        self._held[grant, resource] = credential

    def forget(self, grant: str, resource: str | None, refused: Credential) -> None:
        """Only that one: another caller may have replaced it already."""
        held = self._held.get((grant, resource))
        if held is not None and held.token == refused.token:
            self._held.pop((grant, resource), None)

    def drop(self, grant: str) -> None:
        for name in [name for name in self._held if name[0] == grant]:
            self._held.pop(name, None)

    def last(self, grant: str, resource: str | None) -> Credential | None:
        """One that is still alive, though it should be replaced."""
        held = self._held.get((grant, resource))
        return held if held is not None and time.time() < held.expires_at else None


def obtain(client: Client, held: Held, grant: str, resource: str | None, wait: float | None) -> Exchange[Credential]:
    """A credential from memory, or a new one. `wait`: for how many seconds to go on asking while people decide."""
    deadline = None if wait is None else time.monotonic() + wait
    for seconds in pauses():
        live = held.live(grant, resource)
        if live is not None:
            return live
        try:
            fresh = yield from _ask_for(client, grant, resource)
        except BailiwickError as error:
            # The issuer may be away for a moment: a credential that is still alive is still good.
            last = held.last(grant, resource)
            if last is not None and error.code != "access_request_refused":
                return last
            if deadline is None or error.code not in _WAITABLE or time.monotonic() + seconds > deadline:
                raise
        else:
            held.put(grant, resource, fresh)
            return fresh
        yield Pause(seconds)
    raise BailiwickError("invariant_broken")


def _ask_for(client: Client, grant: str, resource: str | None) -> Exchange[Credential]:
    is_delegation = "." in grant
    asked_at = time.time()
    answer: Answer | None = None
    for _ in range(3):
        before = client.prover.nonce(client.token_url)
        form = urlencode(_wanted(grant, resource) | client.parameters()).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "dpop": client.prover.prove("POST", client.token_url)}
        answer = yield from ask(Request("POST", client.token_url, headers, form))
        client.prover.keep(client.token_url, answer.headers.get("dpop-nonce"))
        wants_nonce = answer.status == 400 and member(answer.json(), "error") == "use_dpop_nonce"
        wants_nonce = wants_nonce or asks_for_nonce(answer.status, answer.headers.get("www-authenticate"))
        if not wants_nonce or client.prover.nonce(client.token_url) == before:
            break
    assert answer is not None
    if answer.status != 200:
        raise _failure(answer, is_delegation)
    return _read(answer.json(), asked_at)


def _wanted(grant: str, resource: str | None) -> dict[str, str]:
    """`client_credentials` with RFC 9396, or the exchange of a delegation (RFC 8693 section 2.1)."""
    target = {} if resource is None else {"resource": resource}
    if "." in grant:
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": grant,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        } | target
    named = {"request_id": grant} if grant.startswith("req_") else {"grant_id": grant}
    details = to_json([{"type": "bailiwick_grant"} | named])
    return {"grant_type": "client_credentials", "authorization_details": details} | target


def _read(body: Any, asked_at: float) -> Credential:
    token, life = text_of(member(body, "access_token"), 16_384), member(body, "expires_in")
    kind = text_of(member(body, "token_type"))
    if token is None or kind is None or kind.lower() != "dpop" or type(life) is not int or not 0 < life <= 3600:
        raise BailiwickError("answer_malformed", "no DPoP-bound token")
    details, ends = member(body, "authorization_details"), member(body, "grant_expires_at")
    return Credential(
        token=token,
        # From before the request was sent: the issuer's clock started later.
        expires_at=asked_at + life,
        renew_at=asked_at + life - min(_MARGIN, life / 5),
        authorization_details=tuple(cast("list[Any]", details)) if isinstance(details, list) else (),
        grant_expires_at=float(ends) if type(ends) is int else None,
    )


def _failure(answer: Answer, is_delegation: bool) -> BailiwickError:
    error = text_of(member(answer.json(), "error"))
    # RFC 8693 section 2.2.2: then the delegation itself is not valid.
    if is_delegation and error == "invalid_request":
        return BailiwickError("delegation_invalid")
    if answer.status == 429:
        return BailiwickError("rate_limited")
    code = None if error is None else _OAUTH_ERRORS.get(error)
    return failure(answer) if code is None else BailiwickError(code)


def delegation_id(delegation: str) -> str:
    """`dlg_…`, of its signed bytes."""
    return f"dlg_{sha256(signed_part(delegation))}"
