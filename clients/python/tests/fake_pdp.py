"""A decision point that can lie: it signs what a test wants, with keys that the test's own root certifies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from bailiwick import Action, BailiwickError, Call, EnforcementPoint, OutcomesInMemory, Presented, Trust, generate_key, tool
from bailiwick._json import sha256, to_base64url
from bailiwick._jws import claims_unverified, random_id, sign

URL = "https://pdp.example"
INSTALLATION = "ins_0123456789abcdef"
ROOT, PERMIT_KEY, STRANGER = generate_key(), generate_key(), generate_key()
CALLER, OUTCOME = generate_key("pep-caller"), generate_key("outcome")
TRUST = Trust(INSTALLATION, ROOT.public_jwk, URL, software_approver=True)
Change = Callable[[dict[str, Any]], Any]


def ignored(_: BailiwickError) -> None: ...


def iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def certificate(**changes: Any) -> str:
    now = time.time()
    said: dict[str, Any] = {
        "installation": INSTALLATION,
        "kid": PERMIT_KEY.kid,
        "jwk": PERMIT_KEY.public_jwk,
        "purpose": "permit",
        "service": "policy-decision",
        "topics": [],
        "not_before": iso(now - 60),
        "not_after": iso(now + 3600),
    }
    return sign("bailiwick-key+jws", said | changes, ROOT)


class FakePdp:
    def __init__(self) -> None:
        self.certificates = [certificate()]
        #: Changes the claims of the next permits, and the answers.
        self.permit: Change = lambda claims: claims
        self.answer: Change = lambda answer: answer
        self.obligations: list[Any] = []
        #: Answers in place of everything else, by path; None: no answer arrives.
        self.instead: dict[str, Callable[[httpx.Request], httpx.Response | None]] = {}
        self.key, self.typ = PERMIT_KEY, "bailiwick-permit+jwt"
        self.asked: list[dict[str, Any]] = []
        self.outcomes: list[dict[str, Any]] = []
        self.signed: list[str] = []
        #: By decision: why a call must end.
        self.over: dict[str, str] = {}
        self.paths: list[str] = []

    def point(self, **settings: Any) -> EnforcementPoint:
        given: dict[str, Any] = {"outcomes": OutcomesInMemory(), "on_problem": ignored, **settings}
        return EnforcementPoint(
            id="invoices-api",
            trust=TRUST,
            caller_key=CALLER,
            outcome_key=OUTCOME,
            transport=httpx.MockTransport(self._answer),
            **given,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.paths.append(str(request.url))
        if path in self.instead:
            found = self.instead[path](request)
            if found is None:
                raise httpx.ConnectError("lost")
            return found
        if path == "/access/v1/jwks":
            return httpx.Response(200, json={"keys": [{"certificate": each} for each in self.certificates]})
        body = json.loads(request.content)
        if path == "/access/v1/evaluation":
            return self._decide(request, body)
        if path == "/v1/open-calls":
            time.sleep(0.02)
            over = [{"decision_id": each, "reason": self.over[each]} for each in body["decisions"] if each in self.over]
            return httpx.Response(200, json={"over": over, "unknown": []})
        return self._record(body)

    def _decide(self, request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        self.asked.append(body)
        caller = claims_unverified(request.headers["authorization"].removeprefix("Bearer "))
        now, decision = int(time.time()), f"dec_{random_id()}"
        claims = {
            "iss": URL,
            "aud": caller["iss"],
            "instance": caller["instance"],
            "jti": decision,
            "iat": now,
            "exp": now + 5,
            "action_digest": body["context"]["bailiwick"]["action_digest"],
            "action_salt": to_base64url(b"0123456789abcdef"),
            "grant": "grt_0123456789abcdef0123",
        }
        if self.obligations:
            claims["obligations"] = self.obligations
        context: dict[str, Any] = {"decision_id": decision, "permit": sign(self.typ, self.permit(claims), self.key)}
        if self.obligations:
            context["obligations"] = self.obligations
        answer = self.answer({"decision": True, "context": context})
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def _record(self, body: dict[str, Any]) -> httpx.Response:
        listed = body.get("outcomes") or [body["outcome"]]
        self.signed += listed
        self.outcomes += [claims_unverified(each) for each in listed]
        if "outcomes" in body:
            return httpx.Response(200, json={"results": [{"status": 204}] * len(listed)})
        return httpx.Response(204)


def call(call_id: str | None = None, **properties: Any) -> Call:
    shown = Presented("POST", "https://invoices.example/read", "a.b.c", "d.e.f", call_id)
    return Call(shown, Action("tools/call", tool("invoices/read"), properties or {"invoice": "INV-1"}))


def name_of(action: Action) -> str:
    """The action's name in an outcome, under the salt of this decision point."""
    return sha256(b"0123456789abcdef" + action.text.encode())
