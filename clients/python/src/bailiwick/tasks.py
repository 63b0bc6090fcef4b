"""What an agent asks for, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast

from typing_extensions import Unpack

from ._dpop import Prover, asks_for_nonce
from ._exchange import Answer, Exchange, Pause, Progress, Request, ask, failure, pauses
from ._json import JsonObject, member, salted_hash, sha256, text_of, to_json
from ._jws import claims_unverified, is_compact, random_id, sign
from .action import Action, Resource
from .errors import BailiwickError

Mode = Literal["window", "continuous", "per_action"]
Status = Literal["pending", "approved", "denied", "expired", "cancelled", "partial", "failed"]
_STATUSES: tuple[Status, ...] = ("pending", "approved", "denied", "expired", "cancelled", "partial")
_LONGEST_TEXT = 20_000


def permission(action: str, resource: Resource, **limits: Any) -> JsonObject:
    """One line of an authority. `limits`: `where`, `max_uses`, `cost` and the others of docs/reference/authority.md."""
    return {"actions": [action], "resource": {"type": resource.type, "id": resource.id}} | limits


def task(name: str, permissions: Sequence[JsonObject], **limits: Any) -> JsonObject:
    """An authority (`bailiwick_task`): `task("read-invoices", [permission("tools/call", tool("invoices/read"))], budget={"calls": 200})`."""
    return {"type": "bailiwick_task", "task": name, "permissions": list(permissions)} | limits


@dataclass(frozen=True)
class Denial:
    """A denial that a request may answer, with the decision point's signed token. The SDK does not read the token."""

    action: str
    resource: Resource
    binding_token: str
    #: RFC 3339: the time until which it may be answered.
    expires_at: str
    decision_id: str | None = None
    reason: str | None = None


def denial_in(body: object, action: Action) -> Denial | None:
    """The requestable denial in an enforcement point's problem document; None if a request could not help. Where to ask comes from
    the agent's own settings, never from an answer."""
    offer = member(body, "access_request")
    token, until = member(offer, "binding_token"), text_of(member(offer, "expires_at"), 40)
    if not is_compact(token) or until is None:
        return None
    decision, reason = text_of(member(body, "decision_id")), text_of(member(body, "code"))
    return Denial(action.name, action.resource, token, until, decision, reason)


@dataclass(frozen=True)
class AccessItem:
    """One action on one resource within a request."""

    action: str
    resource: Resource
    status: Status
    grant_id: str | None = None


@dataclass(frozen=True)
class AccessTask:
    """The state of a request (AuthZEN Access Request Profile). Only `approved` is an approval."""

    request_id: str
    status: Status
    #: Once approved. It names the grant in `credential`, `complete` and the others.
    grant_id: str | None = None
    #: Where rules split the request. With status `partial`, only these say what was approved.
    items: tuple[AccessItem, ...] = ()
    #: RFC 3339: after this time the request can no longer be answered.
    expires_at: str | None = None

    @property
    def grant(self) -> str:
        """The grant. Raises `access_request_pending` or `access_request_refused` while there is none."""
        if self.grant_id is not None:
            return self.grant_id
        code = "access_request_pending" if self.status == "pending" else "access_request_refused"
        raise BailiwickError(code, f"the request is {self.status}")


@dataclass(frozen=True)
class SignedRequest:
    """A signed request, with the texts behind its signed hashes. Submitted again, it is the same request."""

    jws: str
    purpose: JsonObject | None = None
    arguments: JsonObject | None = None
    denials: tuple[Denial, ...] = ()

    @property
    def request_id(self) -> str:
        return f"req_{sha256(self.jws)}"


@dataclass(frozen=True)
class Asking:
    """What a request is signed and sent with."""

    id: str
    installation: str
    prover: Prover
    endpoint: str


class Ask(TypedDict, total=False):
    """How an authority is asked for."""

    #: `window` (the default), `continuous`, or `per_action` for one exact action, as a step-up is.
    mode: Mode
    #: How long the grant is to live, in seconds; at most 8 h, and an hour unless it is given.
    expires_in: int
    #: The agent's own words. Nothing is decided by them, and only their salted hash is signed.
    purpose: str
    #: For mode `per_action`, and for a step-up: approvers see all its arguments.
    action: Action
    #: Instead of `action`, where the rule says `arguments: digest_only`.
    action_digest: str
    #: RFC 3339: when the grant is to begin.
    not_before: str
    #: `attested`: the grant may move to a new key of this agent, newly attested.
    rebind: Literal["none", "attested"]
    #: The denials that this request answers, in the order of the requested actions.
    answering: Denial | Sequence[Denial]
    #: Step-up: one more action of this live grant; the request answers that action's denial.
    grant_id: str
    #: How long the signed request may be submitted, in seconds: 600, at most an hour.
    valid_for: int


def sign_request(asking: Asking, authority: Mapping[str, Any], *, now: int, **ask: Unpack[Ask]) -> SignedRequest:
    """Signs with the key that will hold the credential."""
    action, purpose, action_digest = ask.get("action"), ask.get("purpose"), ask.get("action_digest")
    answering = ask.get("answering", ())
    shown = None if action is None else _salted(_shown_text(action))
    digest = action_digest if shown is None else sha256(shown["text"])
    if action_digest is not None and digest != action_digest:
        raise BailiwickError("arguments_mismatch", "action_digest: not the digest of `action`")
    said = None if purpose is None else _salted(purpose)
    denials = (answering,) if isinstance(answering, Denial) else tuple(answering)
    claims: JsonObject = {
        "aud": asking.installation,
        "sub": asking.id,
        "iat": now,
        "exp": now + ask.get("valid_for", 600),
        "jti": random_id(),
        "authority": dict(authority),
        "mode": ask.get("mode", "per_action" if "grant_id" in ask else "window"),
        "expires_in_seconds": ask.get("expires_in", 3600),
        "not_before": ask.get("not_before"),
        "rebind": ask.get("rebind"),
        "action_digest": digest,
        "arguments": None if shown is None else {"salted_sha256": salted_hash(**shown)},
        "grant_id": ask.get("grant_id"),
        # By the hash the agent shows that it was given these tokens. No token contains a comma.
        "binding_token_hash": sha256(",".join(each.binding_token for each in denials)) if denials else None,
        "purpose": None if said is None else {"salted_sha256": salted_hash(**said)},
    }
    signed = sign("bailiwick-request+jws", {name: each for name, each in claims.items() if each is not None}, asking.prover.key)
    return SignedRequest(signed, said, shown, denials)


def _salted(text: str) -> dict[str, str]:
    return {"salt": random_id(), "text": text}


def _shown_text(action: Action) -> str:
    text = action.text
    if len(text.encode("utf-16-le")) // 2 > _LONGEST_TEXT:
        raise BailiwickError("arguments_too_long", f"{_LONGEST_TEXT} characters is the most that an approver is shown")
    return text


def proved(prover: Prover, method: str, url: str, body: bytes | None = None, *, headers: Mapping[str, str] | None = None) -> Exchange[Answer]:
    """A request with a proof of this very call, and with a nonce if the answer asks for one: two instances behind one address may
    each want their own."""
    answer: Answer | None = None
    for _ in range(3):
        before = prover.nonce(url)
        answer = yield from ask(Request(method, url, {**(headers or {}), "dpop": prover.prove(method, url)}, body))
        prover.keep(url, answer.headers.get("dpop-nonce"))
        if not asks_for_nonce(answer.status, answer.headers.get("www-authenticate")) or prover.nonce(url) == before:
            break
    assert answer is not None
    return answer


def submit(asking: Asking, signed: SignedRequest, attestation: JsonObject | None) -> Exchange[AccessTask]:
    words = {"purpose": signed.purpose, "arguments": signed.arguments, "attestation": attestation}
    body = {
        "subject": {"type": "agent", "id": asking.id},
        **_named_by(signed),
        "bailiwick": {"request": signed.jws} | {name: each for name, each in words.items() if each is not None},
    }
    headers = {"content-type": "application/json", "idempotency-key": signed.request_id}
    answer = yield from proved(asking.prover, "POST", asking.endpoint, to_json(body).encode(), headers=headers)
    return _read_task(answer, signed.request_id)


def status_of(asking: Asking, request_id: str) -> Exchange[AccessTask]:
    answer = yield from proved(asking.prover, "GET", f"{asking.endpoint}/{segment(request_id)}")
    return _read_task(answer, request_id)


def cancel(asking: Asking, request_id: str) -> Exchange[None]:
    answer = yield from proved(asking.prover, "POST", f"{asking.endpoint}/{segment(request_id)}/cancel")
    if answer.status >= 300:
        raise failure(answer)


def wait_for(asking: Asking, request_id: str, timeout: float | None) -> Exchange[AccessTask]:
    """Tells each state as progress. An outage does not end the wait. Raises `access_request_pending` after `timeout` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    for seconds in pauses():
        try:
            found = yield from status_of(asking, request_id)
        except BailiwickError as error:
            if not error.retryable:
                raise
        else:
            if found.status != "pending":
                return found
            yield Progress(found)
        if deadline is not None and time.monotonic() + seconds > deadline:
            raise BailiwickError("access_request_pending", "no answer yet")
        yield Pause(seconds)
    raise BailiwickError("invariant_broken")


def segment(id: str) -> str:
    """An id as a part of a path: one with another character would be another path."""
    if not id.isascii() or not id.replace("_", "").replace("-", "").isalnum():
        raise BailiwickError("request_malformed", "not an id")
    return id


def _named_by(signed: SignedRequest) -> JsonObject:
    """The profile's own terms around the signed request: one denial, several, or each action that is asked for."""
    denied = [_denied(each) for each in signed.denials]
    if denied:
        return denied[0] if len(denied) == 1 else {"items": denied}
    authority = member(claims_unverified(signed.jws), "authority")
    pairs: list[JsonObject] = []
    for each in cast("list[Any]", member(authority, "permissions") or []):
        resource = member(each, "resource")
        id = member(resource, "id") or member(resource, "id_prefix") or ""
        for name in cast("list[Any]", member(each, "actions") or []):
            pairs.append({"resource": {"type": member(resource, "type"), "id": id}, "action": {"name": name}})
    if 1 < len(pairs) <= 64:
        return {"items": pairs}
    return pairs[0] if pairs else {}


def _denied(denial: Denial) -> JsonObject:
    more = {"evaluation_id": denial.decision_id, "reason": denial.reason}
    return {
        "resource": {"type": denial.resource.type, "id": denial.resource.id},
        "action": {"name": denial.action},
        "denial": {"binding_token": denial.binding_token, "expires_at": denial.expires_at}
        | {name: each for name, each in more.items() if each is not None},
    }


def _read_task(answer: Answer, request_id: str) -> AccessTask:
    if not 200 <= answer.status < 300:
        raise failure(answer)
    body = answer.json()
    found = member(body, "task")
    id = text_of(member(found, "id"))
    # A request equal to a waiting one is folded into it; the answer then has the waiting one's id.
    if id is None or (id != request_id and not id.startswith("req_")):
        raise BailiwickError("answer_malformed", "no task, or another one")
    listed = member(found, "items")
    items = cast("list[Any]", listed) if isinstance(listed, list) else []
    status = _status(member(found, "status"))
    return AccessTask(
        request_id=id,
        status=status,
        grant_id=_grant(status, body),
        items=tuple(_item(each) for each in items[:4096]),
        expires_at=text_of(member(found, "expires_at"), 40),
    )


def _item(each: object) -> AccessItem:
    resource = member(each, "resource")
    status = _status(member(each, "status"))
    named = Resource(text_of(member(resource, "type")) or "", text_of(member(resource, "id"), 2048) or "")
    return AccessItem(text_of(member(member(each, "action"), "name"), 200) or "", named, status, _grant(status, each))


def _status(said: object) -> Status:
    """The profile: a status that is not known must be treated as not approved."""
    for each in _STATUSES:
        if each == said:
            return each
    return "failed"


def _grant(status: Status, within: object) -> str | None:
    result = member(within, "result")
    if status != "approved" or member(result, "mode") != "reevaluate":
        return None
    return text_of(member(member(result, "approval"), "grant_id"))
