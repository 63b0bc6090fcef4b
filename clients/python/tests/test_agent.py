"""The agent, against a real installation."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import httpx
import pytest
from conftest import READ
from patience import patiently, patiently_async

from bailiwick import (
    AccessTask,
    Agent,
    AsyncAgent,
    BailiwickError,
    Denial,
    agent_key,
    generate_key,
    permission,
    read_key_file,
    task,
)
from bailiwick.testing import Installation

PERMISSIONS = [permission("tools/call", READ)]


def authority(name: str, calls: int = 5, **limits: int) -> dict[str, object]:
    return task(name, PERMISSIONS, budget={"calls": calls}, **limits)


def test_a_task_is_asked_for_waited_for_and_completed(agent: Agent) -> None:
    seen: list[AccessTask] = []
    signed = agent.sign_request(authority("one-life"), purpose="A whole life.", expires_in=600)
    asked = agent.ask(signed)
    # Submitted again, it is the same request.
    assert agent.ask(signed).request_id == asked.request_id == signed.request_id
    answered = agent.wait(asked, timeout=60, progress=seen.append)
    assert answered.status == "approved"
    assert all(each.status == "pending" for each in seen)
    credential = agent.credential(answered.grant, wait=60)
    assert agent.credential(answered.grant) is credential
    renewed = patiently(lambda: agent.renew(answered.grant, credential))
    assert renewed.token != credential.token
    assert credential.token not in repr(credential)
    for _ in range(2):
        patiently(lambda: agent.complete(answered.grant))
    with pytest.raises(BailiwickError, match="access_request_refused"):
        patiently(lambda: agent.credential(answered.grant))


def test_the_asynchronous_agent_does_the_same(dev: Installation) -> None:
    async def story() -> None:
        async with AsyncAgent.from_env(dev.env) as agent:
            asked = await agent.ask(authority("asynchronous"))
            answered = await agent.wait(asked, timeout=60)
            tokens: list[str] = []

            async def take() -> None:
                tokens.append((await agent.credential(answered.grant, wait=60)).token)

            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(take)
            assert len(set(tokens)) == 1
            await patiently_async(lambda: agent.complete(answered.grant))

    anyio.run(story)


def test_a_request_beyond_the_rules_is_denied(agent: Agent) -> None:
    answered = agent.wait(agent.ask(authority("too-much", calls=20_000)), timeout=60)
    assert (answered.status, answered.grant_id) == ("denied", None)
    with pytest.raises(BailiwickError, match="access_request_refused: the request is denied"):
        assert answered.grant
    with pytest.raises(BailiwickError, match="access_request_refused"):
        patiently(lambda: agent.credential(answered.request_id))


def test_a_part_is_delegated_redeemed_and_revoked(agent: Agent, dev: Installation) -> None:
    answered = agent.wait(agent.ask(authority("shared", max_depth=1, max_children=2)), timeout=60)
    key = read_key_file(Path(dev.env["BAILIWICK_AGENT_KEY"]).with_name("forecaster.json"), "agent")
    agent_id = "spiffe://bailiwick.local/agent/forecaster"
    part = authority("shared", calls=1, max_depth=0, max_children=0)
    ends = time.time() + 600
    agent.credential(answered.grant, wait=60)
    delegation = agent.delegate(answered.grant, to=f"{agent_id}/i1", key=key.public_jwk, authority=part, expires_at=ends)
    assert delegation.id.startswith("dlg_")
    # More than the agent has: the issuer refuses it.
    more = agent.delegate(answered.grant, to=f"{agent_id}/i1", key=key.kid, authority=authority("shared", calls=50), expires_at=ends)
    with Agent(agent_id=agent_id, instance="i1", key=key, installation=agent.installation, url=dev.url) as sub:
        credential = sub.credential(delegation.delegation, wait=60)
        assert credential.authorization_details[0]["budget"] == {"calls": 1}
        patiently(lambda: agent.revoke_delegation(delegation.delegation))
        with pytest.raises(BailiwickError, match="delegation_invalid|grant_unknown|access_request_refused"):
            patiently(lambda: sub.renew(delegation.delegation, credential))
        with pytest.raises(BailiwickError, match="delegation_invalid"):
            patiently(lambda: sub.credential(more.delegation))
    with pytest.raises(BailiwickError, match="delegation_invalid"):
        agent.delegate(answered.grant, to=agent.id, key=key.kid, authority=part, expires_at=time.time() + 90_000)


def test_another_key_learns_nothing(dev: Installation, agent: Agent) -> None:
    asked = agent.ask(authority("private"))
    agent_id, instance = dev.env["BAILIWICK_AGENT"], dev.env["BAILIWICK_AGENT_INSTANCE"]
    key, installation = generate_key(), agent.installation
    with Agent(agent_id=agent_id, instance=instance, key=key, installation=installation, url=dev.url) as stranger:
        with pytest.raises(BailiwickError, match="access_request_unknown|caller_|signature_invalid|key_unknown"):
            patiently(lambda: stranger.status(asked.request_id))
        with pytest.raises(BailiwickError, match="caller_unauthenticated"):
            patiently(lambda: stranger.credential(asked.request_id))


def test_no_secret_is_read_from_a_file_that_others_may_read(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    key = agent_key(path)
    assert agent_key(path).kid == key.kid
    with pytest.raises(BailiwickError, match="key_purpose_wrong"):
        read_key_file(path, "outcome")
    path.chmod(0o644)
    with pytest.raises(BailiwickError, match="config_invalid"):
        agent_key(path)


def stub(answer: httpx.Response) -> Agent:
    """An agent whose installation always gives this answer."""
    return Agent(
        agent_id="spiffe://example.org/agent/a",
        instance="i",
        key=generate_key(),
        installation="ins_0123456789abcdef",
        url="http://bailiwick.example",
        transport=httpx.MockTransport(lambda _: answer),
    )


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(307, headers={"location": "http://thief.example/"}), "answer_malformed"),
        (httpx.Response(200, text="<html>"), "answer_malformed"),
        (httpx.Response(200, content=b"x" * 1_100_000), "answer_malformed"),
        (httpx.Response(200, json={"task": {"id": "other", "status": "approved"}}), "answer_malformed"),
        (httpx.Response(503, text="busy"), "service_unready"),
        (httpx.Response(404, json={"code": "access_request_unknown"}), "access_request_unknown"),
        (httpx.Response(403, json={"code": "made_up"}), "caller_forbidden"),
    ],
)
def test_an_answer_that_is_none_has_a_stable_code(answer: httpx.Response, code: str) -> None:
    with stub(answer) as agent, pytest.raises(BailiwickError) as raised:
        agent.status("req_0123456789abcdef0123")
    assert raised.value.code == code


def test_a_redirect_is_never_followed() -> None:
    hosts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"location": "http://thief.example/"})

    with Agent(
        agent_id="spiffe://example.org/agent/a",
        instance="i",
        key=generate_key(),
        installation="ins_0123456789abcdef",
        url="http://bailiwick.example",
        transport=httpx.MockTransport(answer),
    ) as agent:
        for ask in (lambda: agent.credential("grt_x"), lambda: agent.ask(authority("x")), lambda: agent.complete("grt_x")):
            with pytest.raises(BailiwickError):
                ask()
    assert set(hosts) == {"bailiwick.example"}


def test_a_status_that_is_not_known_is_no_approval() -> None:
    body = {"task": {"id": "req_0123456789abcdef0123", "status": "approved-ish"}, "result": {"mode": "reevaluate", "approval": {"grant_id": "g"}}}
    with stub(httpx.Response(200, json=body)) as agent:
        found = agent.status("req_0123456789abcdef0123")
    assert (found.status, found.grant_id) == ("failed", None)


def test_a_denial_is_answered_by_a_signature_over_its_token(agent: Agent) -> None:
    denials = [Denial("tools/call", READ, f"a.b.{name}", "2030-01-01T00:00:00Z") for name in "cd"]
    signed = agent.sign_request(authority("answering"), answering=denials)
    assert signed.denials == tuple(denials)
