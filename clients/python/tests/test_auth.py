"""An agent's calls, through httpx and httpx2, with and without a real installation."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import httpx
import httpx2
import pytest
import uvicorn
from conftest import READ
from fastapi import FastAPI
from patience import patiently, patiently_async

from bailiwick import Action, Agent, AsyncAgent, BailiwickError, EnforcementPoint, OutcomesInMemory, generate_key, permission, task, tool
from bailiwick import httpx as for_httpx
from bailiwick import httpx2 as for_httpx2
from bailiwick._jws import claims_unverified
from bailiwick.asgi import Guard
from bailiwick.testing import Installation, free_port


#: The registered address of the sample's API. Its port may be taken here, so requests go to another.
API = "http://localhost:8430"


class To(httpx.HTTPTransport):
    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        there = request.url.copy_with(port=self.port)
        return super().handle_request(httpx.Request(request.method, there, headers=request.headers, stream=request.stream))


class ToAsync(httpx.AsyncHTTPTransport):
    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        there = request.url.copy_with(port=self.port)
        return await super().handle_async_request(
            httpx.Request(request.method, there, headers=request.headers, stream=request.stream)
        )


class To2(httpx2.HTTPTransport):
    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        there = request.url.copy_with(port=self.port)
        return super().handle_request(httpx2.Request(request.method, there, headers=request.headers, stream=request.stream))


class ToAsync2(httpx2.AsyncHTTPTransport):
    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        there = request.url.copy_with(port=self.port)
        return await super().handle_async_request(
            httpx2.Request(request.method, there, headers=request.headers, stream=request.stream)
        )


@pytest.fixture(scope="module")
def api(dev: Installation) -> Generator[int, None, None]:
    """A guarded API on a real port."""
    port = free_port()
    app = FastAPI()

    @app.post("/read")
    @app.post("/delete")
    def read(arguments: dict[str, str]) -> dict[str, str]:
        return {"invoice": arguments["invoice"], "total": "120.00", "iban": "DE02100100100006820101"}

    # A busy machine is no failure.
    with EnforcementPoint.from_env(OutcomesInMemory(), dev.env, timeout=30.0, most_silence=60.0) as point:
        routes = {"POST /read": READ, "POST /delete": tool("invoices/delete")}
        app.add_middleware(Guard, point=point, base_url=API, routes=routes)
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield port
        server.should_exit = True
        thread.join()
        assert point.delivered(60)


def test_calls_go_through_httpx(api: int, agent: Agent, grant: str) -> None:
    with httpx.Client(auth=for_httpx.Auth(agent, grant, action=READ), transport=To(api)) as client:
        for invoice in ("INV-1", "INV-2"):
            body = {"invoice": invoice}
            answer = patiently(lambda body=body: client.post(f"{API}/read", json=body))
            assert answer.status_code == 200, answer.text
            assert answer.json()["invoice"] == invoice
            # As the policy of these tests says.
            assert answer.json()["iban"] == "[redacted]"
        # Once more under one call id: the effect is not repeated.
        headers = {"bailiwick-call-id": "the-same-call-id-twice"}
        first, second = (patiently(lambda: client.post(f"{API}/read", json={"invoice": "INV-1"}, headers=headers)) for _ in range(2))
        assert first.status_code == 200
        assert (second.status_code, second.json()["code"]) == (403, "permit_used") or second.status_code == 409


def test_calls_go_through_httpx2_and_asyncio(api: int, dev: Installation, agent: Agent, grant: str) -> None:
    async def story() -> None:
        async with AsyncAgent.from_env(dev.env) as other:
            for each in (agent, other):
                two = httpx2.AsyncClient(auth=for_httpx2.Auth(each, grant, action=READ), transport=ToAsync2(api))
                async with two:
                    assert (await patiently_async(lambda two=two: two.post(f"{API}/read", json={"invoice": "INV-3"}))).status_code == 200
                async with httpx.AsyncClient(auth=for_httpx.Auth(each, grant, action=READ), transport=ToAsync(api)) as one:
                    read = lambda one=one: one.post(f"{API}/read", json={"invoice": "INV-5"})
                    answers = await asyncio.gather(*(patiently_async(read) for _ in range(8)))
                assert [each.status_code for each in answers] == [200] * 8
            with httpx.Client(auth=for_httpx.Auth(other, grant)) as client, pytest.raises(TypeError):
                client.get(API)

    asyncio.run(story())
    client = httpx2.Client(auth=for_httpx2.Auth(agent, grant, action=READ), transport=To2(api))
    with client:
        assert patiently(lambda: client.post(f"{API}/read", json={"invoice": "INV-4"})).json()["invoice"] == "INV-4"


def test_the_agent_signs_what_it_asks_for(api: int, agent: Agent, grant: str) -> None:
    # The proof is for another invoice than the body.
    another = Action("tools/call", READ, {"invoice": "INV-9"})
    with httpx.Client(auth=for_httpx.Auth(agent, grant, action=lambda _: another), transport=To(api)) as client:
        answer = patiently(lambda: client.post(f"{API}/read", json={"invoice": "INV-1"}))
    assert (answer.status_code, answer.json()["code"]) == (401, "proof_action_mismatch")


def test_a_denial_can_be_answered(api: int, agent: Agent, grant: str) -> None:
    delete = tool("invoices/delete")
    with httpx.Client(auth=for_httpx.Auth(agent, grant, action=delete), transport=To(api)) as client:
        answer = patiently(lambda: client.post(f"{API}/delete", json={"invoice": "INV-1"}))
        denial = for_httpx.denial_of(answer)
        assert denial is not None
        assert (answer.status_code, denial.reason, denial.resource) == (403, "action_not_granted", delete)
        asked = agent.ask(task("delete-one", [permission("tools/call", delete)], budget={"calls": 1}), answering=denial)
        granted = agent.wait(asked, timeout=60).grant
    with httpx.Client(auth=for_httpx.Auth(agent, granted, action=delete), transport=To(api)) as client:
        # The sample's policies want a person's yes to each deletion.
        answer = patiently(lambda: client.post(f"{API}/delete", json={"invoice": "INV-1"}))
        step_up = for_httpx.denial_of(answer)
    assert step_up is not None
    assert step_up.reason == "step_up_required"
    action = Action("tools/call", delete, {"invoice": "INV-1"})
    wanted = task("delete-one", [permission("tools/call", delete, max_uses=1)], budget={"calls": 1})
    asked = agent.ask(wanted, answering=step_up, action=action, grant_id=granted, expires_in=60)
    assert asked.status == "pending"
    agent.cancel(asked.request_id)
    assert agent.wait(asked, timeout=10).status == "cancelled"


def test_a_completed_task_calls_nothing_more(api: int, agent: Agent) -> None:
    done = agent.wait(agent.ask(task("soon-done", [permission("tools/call", READ)], budget={"calls": 3})), timeout=60).grant
    with httpx.Client(auth=for_httpx.Auth(agent, done, action=READ), transport=To(api)) as client:
        assert patiently(lambda: client.post(f"{API}/read", json={"invoice": "INV-1"})).status_code == 200
        patiently(lambda: agent.complete(done))
        with pytest.raises(BailiwickError, match="access_request_refused"):
            patiently(lambda: client.post(f"{API}/read", json={"invoice": "INV-1"}))


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Stub:
    """An issuer that gives a new token each time, and an agent of it."""

    def __init__(self, life: int = 300, aud: str = "https://api.example") -> None:
        self.tokens = 0
        self.life, self.aud = life, aud
        self.agent = Agent(
            agent_id="spiffe://example.org/agent/a",
            instance="i",
            key=generate_key(),
            installation="ins_0123456789abcdef",
            url="https://issuer.example",
            transport=httpx.MockTransport(self._token),
        )

    def _token(self, _: httpx.Request) -> httpx.Response:
        self.tokens += 1
        token = f"{part({})}.{part({'aud': [self.aud], 'n': self.tokens})}.{part({})}"
        return httpx.Response(200, json={"access_token": token, "token_type": "DPoP", "expires_in": self.life})

    def call(self, answers: list[httpx.Response], **options: Any) -> tuple[httpx.Response, list[httpx.Request]]:
        """What became of one call, and the requests that the API got."""
        sent: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            sent.append(httpx.Request(request.method, request.url, headers=request.headers))
            return answers[min(len(sent), len(answers)) - 1]

        auth = for_httpx.Auth(self.agent, "grt_x", action=READ, **options)
        with self.agent, httpx.Client(auth=auth, transport=httpx.MockTransport(answer)) as client:
            return client.post("https://api.example/read?page=2", json={"invoice": "INV-1"}), sent


def proofs(sent: list[httpx.Request]) -> list[dict[str, Any]]:
    return [claims_unverified(each.headers["dpop"]) for each in sent]


def nonce(value: str) -> httpx.Response:
    challenge = 'DPoP error="use_dpop_nonce", algs="ES256"'
    return httpx.Response(401, headers={"www-authenticate": challenge, "dpop-nonce": value}, json={})


def test_a_nonce_is_taken_up_with_a_new_proof_and_kept() -> None:
    answer, sent = Stub().call([nonce("n-1"), nonce("n-2"), httpx.Response(200)])
    assert answer.status_code == 200
    first, second, third = proofs(sent)
    assert [each.get("nonce") for each in (first, second, third)] == [None, "n-1", "n-2"]
    assert len({each["jti"] for each in (first, second, third)}) == 3
    assert len({each.headers["bailiwick-call-id"] for each in sent}) == 1
    assert first["htu"] == "https://api.example/read"
    assert first["action_digest"] == Action("tools/call", READ, {"invoice": "INV-1", "page": "2"}).digest
    # One that asks for ever gets three answers at most.
    answer, sent = Stub().call([nonce("n-1"), nonce("n-2"), nonce("n-3"), nonce("n-4")])
    assert (answer.status_code, len(sent)) == (401, 3)
    # One that asks without another nonce gets no second proof.
    answer, sent = Stub().call([nonce("n-1"), nonce("n-1")])
    assert len(sent) == 2


def test_a_refused_credential_is_renewed_once() -> None:
    refused = httpx.Response(401, headers={"www-authenticate": 'DPoP error="invalid_token"'}, json={"code": "credential_revoked"})
    stub = Stub()
    answer, sent = stub.call([refused, httpx.Response(200)])
    assert (answer.status_code, stub.tokens) == (200, 2)
    assert len({each.headers["authorization"] for each in sent}) == 2
    stub = Stub()
    answer, sent = stub.call([refused])
    assert (answer.status_code, len(sent), stub.tokens) == (401, 2, 2)


def test_what_passes_by_itself_is_repeated_as_the_same_call() -> None:
    reserved = httpx.Response(403, headers={"retry-after": "1"}, json={"code": "uses_reserved"})
    answer, sent = Stub().call([reserved, httpx.Response(200)])
    assert (answer.status_code, len({each.headers["bailiwick-call-id"] for each in sent})) == (200, 1)
    answer, sent = Stub().call([reserved], patience=0.5)
    assert (answer.status_code, len(sent)) == (403, 1)
    abandoned = httpx.Response(403, json={"code": "call_abandoned"})
    answer, sent = Stub().call([abandoned, httpx.Response(200)])
    assert (answer.status_code, len({each.headers["bailiwick-call-id"] for each in sent})) == (200, 2)


def test_a_credential_for_one_api_goes_to_no_other() -> None:
    with pytest.raises(BailiwickError, match="token_audience_wrong"):
        Stub(aud="https://payments.example").call([httpx.Response(200)], resource="https://payments.example")
    answer, _ = Stub().call([httpx.Response(200)], resource="https://api.example")
    assert answer.status_code == 200


def test_a_redirect_is_handed_back() -> None:
    answer, sent = Stub().call([httpx.Response(307, headers={"location": "https://thief.example/"})])
    assert (answer.status_code, len(sent)) == (307, 1)


@pytest.mark.parametrize(
    ("life", "seconds", "tokens"),
    [(300, 260, 1), (300, 271, 2), (100, 79, 1), (100, 81, 2)],
)
def test_a_credential_is_replaced_before_it_expires(
    monkeypatch: pytest.MonkeyPatch, life: int, seconds: int, tokens: int
) -> None:
    stub = Stub(life)
    now = time.time()
    clock: Callable[[], float] = lambda: now
    monkeypatch.setattr("bailiwick._credentials.time.time", lambda: clock())
    with stub.agent as agent:
        agent.credential("grt_x")
        now += seconds
        agent.credential("grt_x")
    assert stub.tokens == tokens
