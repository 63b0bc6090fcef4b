"""A part of an agent's rights, signed over to a sub-agent, and the end of a grant."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._credentials import Credential, delegation_id
from ._dpop import Prover
from ._exchange import Exchange, failure
from ._json import JsonObject, member, to_json
from ._jws import claims_unverified, random_id, sign
from .errors import BailiwickError
from .keys import SigningKey, thumbprint
from .tasks import proved, segment


@dataclass(frozen=True)
class SignedDelegation:
    """For its sub-agent to redeem: useless without the sub-agent's key."""

    #: `dlg_…`, by which it is revoked.
    id: str
    delegation: str


def delegated(
    own: Credential,
    key: SigningKey,
    *,
    id: str,
    installation: str,
    to: str,
    to_key: str | Mapping[str, Any],
    authority: Mapping[str, Any],
    expires_at: float,
    resources: Sequence[str] | None,
) -> SignedDelegation:
    """No approver is asked, because no one gets more than was approved: the issuer and every decision point judge the narrowing."""
    grant = member(claims_unverified(own.token), "grant")
    if member(grant, "id") is None:
        raise BailiwickError("answer_malformed", "the credential says no grant")
    if own.grant_expires_at is not None and expires_at > own.grant_expires_at:
        raise BailiwickError("delegation_invalid", "expiry: it would end after what is passed on")
    parent = member(grant, "delegation")
    claims: JsonObject = {
        "iss": id,
        "sub": to,
        "aud": installation,
        "iat": int(time.time()),
        "exp": int(expires_at),
        "jti": random_id(),
        "cnf": {"jkt": to_key if isinstance(to_key, str) else thumbprint(dict(to_key))},
        "grant": member(grant, "id"),
        "as_of": member(grant, "as_of"),
        "parent_hash": parent.removeprefix("dlg_") if isinstance(parent, str) else member(grant, "statement_hash"),
        "authorization_details": [dict(authority)],
    }
    if resources is not None:
        claims["resources"] = list(resources)
    delegation = sign("bailiwick-delegation+jwt", claims, key, embed=True)
    return SignedDelegation(delegation_id(delegation), delegation)


def revoke_delegation(prover: Prover, issuer: str, delegation: str) -> Exchange[None]:
    """The signed form goes along, because it may not have been redeemed yet."""
    is_id = delegation.startswith("dlg_")
    id = delegation if is_id else delegation_id(delegation)
    body = to_json({} if is_id else {"delegation": delegation}).encode()
    url = f"{issuer}/oauth/delegations/{segment(id)}/revoke"
    answer = yield from proved(prover, "POST", url, body, headers={"content-type": "application/json"})
    if answer.status != 200:
        raise failure(answer)


def complete(prover: Prover, issuer: str, grant: str) -> Exchange[None]:
    if "." in grant:
        return (yield from revoke_delegation(prover, issuer, grant))
    answer = yield from proved(prover, "POST", f"{issuer}/oauth/grants/{segment(grant)}/complete")
    if answer.status != 200:
        raise failure(answer)

