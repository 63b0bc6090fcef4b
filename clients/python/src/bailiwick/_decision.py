"""The question about one call (AuthZEN Authorization API 1.0), and what its answer claims."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ._codes import REASONS
from ._duties import SUPPORTED
from ._exchange import Answer
from ._json import JsonObject, member, text_of
from ._jws import claims_unverified, is_compact
from .action import Action
from .presented import Presented
from .refusal import Refusal

_DECISION_ID = re.compile(r"dec_[0-9A-Za-z_-]{10,64}")


@dataclass(frozen=True)
class Call:
    """One call, as this point observed it."""

    presented: Presented
    action: Action
    #: The longest answer, in bytes: what is asked for if the task limits answers.
    most_bytes: int | None = None
    #: For how many seconds the answer may flow, if that is longer than a minute. After that it is cut.
    answer_seconds: int | None = None
    #: The hash of what the tool's server says of itself now.
    manifest: str | None = None


def question(call: Call, action: Action, digest: str, call_id: str) -> JsonObject:
    shown = call.presented
    observed = {
        "credential": shown.credential,
        "proof": shown.proof,
        "htm": shown.htm,
        "htu": shown.htu,
        "action_digest": digest,
        "call_id": call_id,
        "answer_bytes": call.most_bytes,
        "answer_seconds": call.answer_seconds,
        "manifest": call.manifest,
    }
    return {
        "subject": {"type": "agent", "id": _subject_of(shown.credential)},
        "action": {"name": action.name, "properties": action.properties},
        "resource": {"type": action.resource.type, "id": action.resource.id},
        "context": {
            "supported_obligations": SUPPORTED,
            "bailiwick": {name: each for name, each in observed.items() if each is not None},
        },
    }


@dataclass(frozen=True)
class ClaimedAllow:
    """Worth nothing before its permit is verified."""

    decision_id: str
    permit: str
    conditions: Sequence[Any]


def claimed_in(answer: Answer, body: Any) -> ClaimedAllow | Refusal:
    """What is no clear ALLOW is a refusal."""
    if answer.status != 200:
        is_quota = member(body, "code") == "decision_quota_exceeded"
        codes = {400: "request_invalid", 413: "body_too_large", 429: "decision_quota_exceeded" if is_quota else "queue_full"}
        return Refusal(codes.get(answer.status, "pdp_unavailable"), retry_after=answer.retry_after)
    context = member(body, "context")
    decision_id, permit = text_of(member(context, "decision_id")), member(context, "permit")
    if decision_id is not None and not _DECISION_ID.fullmatch(decision_id):
        decision_id = None
    if member(body, "decision") is True and decision_id is not None and is_compact(permit):
        obligations = context.get("obligations", [])
        if isinstance(obligations, list):
            limit = [context["limit"]] if "limit" in context else []
            return ClaimedAllow(decision_id, permit, [*cast("list[Any]", obligations), *limit])
    if member(body, "decision") is not False:
        return Refusal("pdp_unavailable")
    reason = text_of(member(context, "reason"))
    after = member(context, "retry_after")
    return Refusal(
        reason if reason in REASONS else "internal",
        decision_id,
        _offer_in(member(context, "access_request")),
        text_of(member(context, "dpop_nonce"), 512),
        float(after) if type(after) is int and 0 < after <= 3600 else None,
    )


def _offer_in(said: object) -> JsonObject | None:
    """The token is passed on as received: the agent hands it in, and nothing here reads it."""
    endpoint, until = text_of(member(said, "endpoint"), 2048), text_of(member(said, "expires_at"), 40)
    token = member(said, "binding_token")
    if endpoint is None or not endpoint.startswith(("http://", "https://")) or until is None:
        return None
    if token is not None and not is_compact(token):
        return None
    return {"endpoint": endpoint, "expires_at": until} | ({} if token is None else {"binding_token": token})


def _subject_of(credential: str | None) -> str:
    """AuthZEN wants a subject. The decision point reads the real one from the credential that it verifies."""
    return text_of(member(claims_unverified(credential or ""), "sub"), 2048) or "unknown"
