"""The agent, against a real installation. Each test runs with `Agent` and with `AsyncAgent`."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
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
from bailiwick.testing import Installation, installation

PERMISSIONS = [permission("tools/call", READ)]

#: What was denied is not asked for again: it would be denied at once, under any name.
TOO_MANY = itertools.count(20_000)

#: An agent of either kind, from its settings.
Opened = Callable[..., AbstractContextManager[Agent]]


class Blocking:
    """An asynchronous agent, called from a test as the synchronous one is."""

    def __init__(self, agent: AsyncAgent, portal: BlockingPortal) -> None:
        self._agent, self._portal = agent, portal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._agent, name)
        if not inspect.iscoroutinefunction(found):
            return found

        def blocking(*given: Any, **named: Any) -> Any:
            return self._portal.call(partial(found, *given, **named))

        return blocking


@pytest.fixture(scope="module")
def portal() -> Generator[BlockingPortal, None, None]:
    with start_blocking_portal() as found:
        yield found


@pytest.fixture(scope="module", params=[Agent, AsyncAgent], ids=["sync", "async"])
def opened(request: pytest.FixtureRequest, portal: BlockingPortal) -> Opened:
    if request.param is Agent:
        return Agent

    @contextmanager
    def asynchronous(**settings: Any) -> Generator[Agent, None, None]:
        agent = AsyncAgent(**settings)
        try:
            yield cast("Agent", Blocking(agent, portal))
        finally:
            portal.call(agent.aclose)

    return asynchronous


def settings_of(dev: Installation) -> dict[str, Any]:
    """The sample's agent, as `from_env` reads it."""
    return {
        "agent_id": dev.env["BAILIWICK_AGENT"],
        "instance": dev.env["BAILIWICK_AGENT_INSTANCE"],
        "key": read_key_file(dev.env["BAILIWICK_AGENT_KEY"], "agent"),
        "installation": dev.env["BAILIWICK_INSTALLATION"],
        "url": dev.url,
    }


@pytest.fixture(scope="module")
def agent(opened: Opened, dev: Installation) -> Generator[Agent, None, None]:
    with opened(**settings_of(dev)) as found:
        yield found


@pytest.fixture(scope="module")
def unanswered(tmp_path_factory: pytest.TempPathFactory) -> Generator[Installation, None, None]:
    """No rule answers a request here, and no person does."""
    rules = tmp_path_factory.mktemp("unanswered") / "answers.yaml"
    rules.write_text("requests: []\n")
    with installation("--approve", rules, timeout=150) as found:
        yield found


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
    assert agent.status(asked.request_id).grant_id == answered.grant_id
    renewed = patiently(lambda: agent.renew(answered.grant, credential))
    assert renewed.token != credential.token
    assert credential.token not in repr(credential)
    for _ in range(2):
        patiently(lambda: agent.complete(answered.grant))
    with pytest.raises(BailiwickError, match="access_request_refused"):
        patiently(lambda: agent.credential(answered.grant))


def test_a_request_that_no_one_answers_is_waited_for_and_cancelled(opened: Opened, unanswered: Installation) -> None:
    seen: list[AccessTask] = []
    with opened(**settings_of(unanswered)) as agent:
        asked = agent.ask(authority("for-ever"))
        with pytest.raises(BailiwickError, match="access_request_pending"):
            agent.wait(asked, timeout=0.5, progress=seen.append)
        assert [(each.request_id, each.status) for each in seen[:1]] == [(asked.request_id, "pending")]
        with pytest.raises(BailiwickError, match="access_request_pending"):
            patiently(lambda: agent.credential(asked.request_id))
        patiently(lambda: agent.cancel(asked.request_id))
        assert agent.wait(asked.request_id, timeout=60).status == agent.status(asked.request_id).status == "cancelled"
        with pytest.raises(BailiwickError, match="access_request_refused"):
            patiently(lambda: agent.credential(asked.request_id))
        # Cancelled twice, it is cancelled.
        patiently(lambda: agent.cancel(asked.request_id))


def test_tasks_that_want_a_credential_at_the_same_time_get_the_same_one(dev: Installation) -> None:
    async def story() -> None:
        async with AsyncAgent.from_env(dev.env) as agent:
            asked = await agent.ask(authority("at-the-same-time"))
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


def test_what_was_approved_can_be_given_back(agent: Agent) -> None:
    answered = agent.wait(agent.ask(authority("not-needed")), timeout=60)
    credential = agent.credential(answered.grant, wait=60)
    patiently(lambda: agent.cancel(answered.request_id))
    assert agent.wait(answered.request_id, timeout=60).status == "cancelled"
    with pytest.raises(BailiwickError, match="access_request_refused"):
        patiently(lambda: agent.renew(answered.grant, credential))


def test_a_request_beyond_the_rules_is_denied(agent: Agent) -> None:
    answered = agent.wait(agent.ask(authority("too-much", calls=next(TOO_MANY))), timeout=60)
    assert (answered.status, answered.grant_id) == ("denied", None)
    with pytest.raises(BailiwickError, match="access_request_refused: the request is denied"):
        assert answered.grant
    with pytest.raises(BailiwickError, match="access_request_refused"):
        patiently(lambda: agent.credential(answered.request_id))
    with pytest.raises(BailiwickError, match="access_request_not_pending"):
        patiently(lambda: agent.cancel(answered.request_id))


def test_a_part_is_delegated_redeemed_and_revoked(agent: Agent, opened: Opened, dev: Installation) -> None:
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
    with opened(agent_id=agent_id, instance="i1", key=key, installation=agent.installation, url=dev.url) as sub:
        credential = sub.credential(delegation.delegation, wait=60)
        assert credential.authorization_details[0]["budget"] == {"calls": 1}
        patiently(lambda: agent.revoke_delegation(delegation.delegation))
        with pytest.raises(BailiwickError, match="delegation_invalid|grant_unknown|access_request_refused"):
            patiently(lambda: sub.renew(delegation.delegation, credential))
        with pytest.raises(BailiwickError, match="delegation_invalid"):
            patiently(lambda: sub.credential(more.delegation))
    with pytest.raises(BailiwickError, match="delegation_invalid"):
        agent.delegate(answered.grant, to=agent.id, key=key.kid, authority=part, expires_at=time.time() + 90_000)


def test_a_part_is_given_back_by_its_sub_agent(agent: Agent, opened: Opened, dev: Installation) -> None:
    answered = agent.wait(agent.ask(authority("given-back", max_depth=1, max_children=1)), timeout=60)
    key = read_key_file(Path(dev.env["BAILIWICK_AGENT_KEY"]).with_name("forecaster.json"), "agent")
    agent_id = "spiffe://bailiwick.local/agent/forecaster"
    part = authority("given-back", calls=1, max_depth=0, max_children=0)
    agent.credential(answered.grant, wait=60)
    passed_on = agent.delegate(answered.grant, to=f"{agent_id}/i1", key=key.kid, authority=part, expires_at=time.time() + 600)
    with opened(agent_id=agent_id, instance="i1", key=key, installation=agent.installation, url=dev.url) as sub:
        sub.credential(passed_on.delegation, wait=60)
        patiently(lambda: sub.complete(passed_on.delegation))
        with pytest.raises(BailiwickError, match="delegation_invalid|grant_unknown|access_request_refused"):
            patiently(lambda: sub.credential(passed_on.delegation))
    # The task itself goes on.
    assert patiently(lambda: agent.renew(answered.grant, agent.credential(answered.grant))).token


def test_another_key_learns_nothing(dev: Installation, agent: Agent, opened: Opened) -> None:
    asked = agent.ask(authority("private"))
    with opened(**{**settings_of(dev), "key": generate_key()}) as stranger:
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


def stub(answer: Callable[[httpx.Request], httpx.Response]) -> dict[str, Any]:
    """The settings of an agent whose installation always gives this answer."""
    return {
        "agent_id": "spiffe://example.org/agent/a",
        "instance": "i",
        "key": generate_key(),
        "installation": "ins_0123456789abcdef",
        "url": "http://bailiwick.example",
        "transport": httpx.MockTransport(answer),
    }


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
def test_an_answer_that_is_none_has_a_stable_code(answer: httpx.Response, code: str, opened: Opened) -> None:
    # A response can be read once.
    said = (answer.status_code, answer.headers, answer.content)
    with opened(**stub(lambda _: httpx.Response(said[0], headers=said[1], content=said[2]))) as agent, pytest.raises(BailiwickError) as raised:
        agent.status("req_0123456789abcdef0123")
    assert raised.value.code == code


def test_a_redirect_is_never_followed(opened: Opened) -> None:
    hosts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"location": "http://thief.example/"})

    with opened(**stub(answer)) as agent:
        for ask in (lambda: agent.credential("grt_x"), lambda: agent.ask(authority("x")), lambda: agent.complete("grt_x")):
            with pytest.raises(BailiwickError):
                ask()
    assert set(hosts) == {"bailiwick.example"}


def test_a_status_that_is_not_known_is_no_approval(opened: Opened) -> None:
    body = {"task": {"id": "req_0123456789abcdef0123", "status": "approved-ish"}, "result": {"mode": "reevaluate", "approval": {"grant_id": "g"}}}
    with opened(**stub(lambda _: httpx.Response(200, json=body))) as agent:
        found = agent.status("req_0123456789abcdef0123")
    assert (found.status, found.grant_id) == ("failed", None)


def test_a_denial_is_answered_by_a_signature_over_its_token(agent: Agent) -> None:
    denials = [Denial("tools/call", READ, f"a.b.{name}", "2030-01-01T00:00:00Z") for name in "cd"]
    signed = agent.sign_request(authority("answering"), answering=denials)
    assert signed.denials == tuple(denials)
