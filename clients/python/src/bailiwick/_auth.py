"""One flow for httpx and httpx2: a credential, a proof of the key and of the exact action, nonces, renewal, refusals."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from ._arguments import arguments_of
from ._codes import REASONS
from ._credentials import Credential
from ._dpop import asks_for_nonce, origin_of, refuses_token
from ._exchange import Pause
from ._json import member, parse_json, text_of
from ._jws import random_id
from .action import Action, Resource
from .agent import Agent, AsyncAgent
from .errors import BailiwickError
from .tasks import Denial, denial_in

#: The key of `response.extensions` under which a requestable denial stands.
DENIAL = "bailiwick_denial"
_REFUSALS = (401, 403, 409, 429, 503)
_LONGEST_PROBLEM = 65_536


class HttpRequest(Protocol):
    method: str

    @property
    def url(self) -> Any: ...
    @property
    def headers(self) -> Any: ...
    @property
    def content(self) -> bytes: ...
    def read(self) -> bytes: ...
    async def aread(self) -> bytes: ...


class HttpResponse(Protocol):
    status_code: int
    extensions: Any

    @property
    def headers(self) -> Any: ...
    @property
    def content(self) -> bytes: ...
    def read(self) -> bytes: ...
    async def aread(self) -> bytes: ...


Q = TypeVar("Q", bound=HttpRequest)
A = TypeVar("A", bound=HttpResponse)
ActionOf = Resource | Callable[[Q], Action | None]


@dataclass(frozen=True)
class _Wanted:
    """A credential is wanted, in place of one that was refused."""

    refused: Credential | None


@dataclass(frozen=True)
class _Sent(Generic[Q]):
    request: Q


@dataclass(frozen=True)
class _Read(Generic[A]):
    response: A


class AuthFlow(Generic[Q, A]):
    """Calls guarded APIs as an agent, under one grant."""

    def __init__(
        self,
        agent: Agent | AsyncAgent,
        grant: str,
        *,
        action: ActionOf[Q] | None = None,
        resource: str | None = None,
        patience: float = 10.0,
    ) -> None:
        """`grant`: the id of a grant or of an approved request, or a signed delegation.

        `action` says which action a request is, so that the agent itself signs it. A `Resource` stands for `tools/call` of it with
        the arguments in the JSON body and the query; a function gives another action, or None for a request that is none. Without
        it, the proof is for the address alone, and the enforcement point alone says what was asked.

        `resource`: the one API that the credential is for. Then `token_audience_wrong` is raised rather than sending it elsewhere.
        `patience`: for how many seconds to repeat a call that is refused for the moment only (`uses_reserved`, `budget_reserved`).
        Keep the client's `follow_redirects` off: a redirect would carry arguments to another place.
        """
        self._agent, self._grant, self._resource, self._patience = agent, grant, resource, patience
        self._action = action

    def sync_auth_flow(self, request: Q) -> Generator[Q, A, None]:
        agent = self._agent
        if isinstance(agent, AsyncAgent):
            raise TypeError("a synchronous client needs an Agent, not an AsyncAgent")
        request.read()
        steps = self._steps(request)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = steps.send(None)
                elif isinstance(step, _Wanted):
                    step = steps.send(self._from(agent, step))
                elif isinstance(step, _Read):
                    step.response.read()
                    step = steps.send(None)
                else:
                    answer = yield step.request
                    step = steps.send(answer)
        except StopIteration:
            return

    async def async_auth_flow(self, request: Q) -> AsyncGenerator[Q, A]:
        agent = self._agent
        await request.aread()
        steps = self._steps(request)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await anyio.sleep(step.seconds)
                    step = steps.send(None)
                elif isinstance(step, _Wanted):
                    if isinstance(agent, AsyncAgent):
                        found = await self._from_async(agent, step)
                    else:
                        found = await anyio.to_thread.run_sync(self._from, agent, step)
                    step = steps.send(found)
                elif isinstance(step, _Read):
                    await step.response.aread()
                    step = steps.send(None)
                else:
                    answer = yield step.request
                    step = steps.send(answer)
        except StopIteration:
            return

    def _from(self, agent: Agent, wanted: _Wanted) -> Credential:
        if wanted.refused is None:
            return agent.credential(self._grant, resource=self._resource)
        return agent.renew(self._grant, wanted.refused, resource=self._resource)

    async def _from_async(self, agent: AsyncAgent, wanted: _Wanted) -> Credential:
        if wanted.refused is None:
            return await agent.credential(self._grant, resource=self._resource)
        return await agent.renew(self._grant, wanted.refused, resource=self._resource)

    def _check_audience(self, credential: Credential, url: str) -> None:
        """A credential for one API goes to that one, and to no other address that the client is used for."""
        if self._resource is not None and origin_of(url) not in {origin_of(each) for each in credential.audiences}:
            raise BailiwickError("token_audience_wrong", "the credential is not for this address")

    def _action_of(self, request: Q) -> Action | None:
        if self._action is None:
            return None
        if not isinstance(self._action, Resource):
            return self._action(request)
        query = urlsplit(str(request.url)).query
        return Action("tools/call", self._action, arguments_of(request.content, query))

    def _steps(self, request: Q) -> Generator[Pause | _Wanted | _Sent[Q] | _Read[A], Any, None]:
        url, method, prover = str(request.url), request.method, self._agent.prover
        action = self._action_of(request)
        digest = None if action is None else action.digest
        # Repeated under the same id, it is the same call, and takes effect at most once.
        is_ours = "bailiwick-call-id" not in request.headers
        if is_ours:
            request.headers["bailiwick-call-id"] = random_id()
        credential: Credential = yield _Wanted(None)
        self._check_audience(credential, url)
        deadline = time.monotonic() + self._patience
        left = {"nonce": 2, "renewal": 1, "call id": 1}
        while True:
            request.headers["authorization"] = f"DPoP {credential.token}"
            request.headers["dpop"] = prover.prove(method, url, token=credential.token, digest=digest)
            before = prover.nonce(url)
            answer: A = yield _Sent(request)
            prover.keep(url, answer.headers.get("dpop-nonce"))
            if answer.status_code not in _REFUSALS:
                return
            challenge = answer.headers.get("www-authenticate")
            if asks_for_nonce(answer.status_code, challenge) and left["nonce"] and prover.nonce(url) != before:
                left["nonce"] -= 1
                continue
            if refuses_token(answer.status_code, challenge) and left["renewal"]:
                left["renewal"] -= 1
                credential = yield _Wanted(credential)
                continue
            yield _Read(answer)
            problem = problem_of(answer)
            code = text_of(member(problem, "code"))
            if code == "call_abandoned" and is_ours and left["call id"]:
                # Nothing was done under the id, and nothing will be.
                left["call id"] -= 1
                request.headers["bailiwick-call-id"] = random_id()
                continue
            reason = REASONS.get(code or "")
            pause = _pause_in(answer, problem)
            if reason is not None and reason.reserved and time.monotonic() + pause < deadline:
                yield Pause(pause)
                continue
            if action is not None:
                answer.extensions[DENIAL] = denial_in(problem, action)
            return


def problem_of(response: HttpResponse) -> Any:
    """The problem document (RFC 9457) of an answer that was read; None if it is none."""
    kind = str(response.headers.get("content-type", "")).lower()
    if not kind.startswith(("application/json", "application/problem+json")) or len(response.content) > _LONGEST_PROBLEM:
        return None
    try:
        return parse_json(response.content)
    except BailiwickError:
        return None


def _pause_in(response: HttpResponse, problem: Any) -> float:
    header = str(response.headers.get("retry-after", ""))
    said = float(header) if header.isdecimal() else member(problem, "retry_after")
    return float(said) if isinstance(said, (int, float)) and 0 < said <= 3600 else 1.0


def denial_of(response: HttpResponse) -> Denial | None:
    """The denial that an access request could answer, of a response to a request through `Auth` with an `action`; None if the
    response is no denial, or a request could not help. `denial.reason` is `step_up_required` where a person must say yes to this
    very action: `agent.ask(authority, answering=denial, action=action, grant_id=grant)`."""
    found = response.extensions.get(DENIAL)
    return found if isinstance(found, Denial) else None
