"""Each adapter in its framework's own loop, against a real installation."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from loops import LOOPS, Stage, langchain_model

import bailiwick.httpx
import bailiwick.httpx2
from bailiwick import Agent, BailiwickError, EnforcementPoint, OutcomesInMemory, permission, task, tool
from bailiwick._jws import claims_unverified
from bailiwick.asgi import Guard
from bailiwick.in_process import ToolGuard
from bailiwick.testing import Installation, free_port, installation

ROOT = Path(__file__).parents[3]
ADDRESS = "http://localhost:8430"
READ, ADJUST = tool("invoices/read"), tool("invoices/adjust")
TASK = task(
    "read-invoices",
    [
        permission("tools/call", READ),
        permission("tools/call", ADJUST, where={"/amount": {"max": "500"}, "/currency": {"in": ["EUR"]}}, cost={"amount": "/amount", "currency": "/currency"}),
    ],
    budget={"calls": 500, "cost": {"EUR": "5000"}},
)
#: A busy machine may cause these: the script is then played again.
PASSING = ("deadline_exceeded", "evidence_unavailable", "state_stale", "queue_full", "credential_unrecorded", "service_unready")

Play = Callable[[Stage], list[str]]


class Outcomes(OutcomesInMemory):
    """Remembers all that was signed."""

    def __init__(self) -> None:
        super().__init__()
        self.signed: dict[str, Any] = {}

    def save(self, pending: list[str]) -> None:
        super().save(pending)
        self.signed |= {jws: claims_unverified(jws) for jws in pending}


class World:
    """Three tools, which remember their calls, and a point beside them."""

    def __init__(self, dev: Installation, agent: Agent, **options: Any) -> None:
        self.ran: list[tuple[str, dict[str, Any]]] = []
        self.outcomes, self.problems = Outcomes(), list[BailiwickError]()
        env = {**dev.env, **options.pop("env", {})}
        self.point = EnforcementPoint.from_env(self.outcomes, env, in_process=True, on_problem=self.problems.append)
        asked = agent.ask(TASK, purpose="Read and adjust invoices.")
        self.grant = agent.wait(asked, timeout=60).grant
        self.guard = ToolGuard(agent, self.grant, self.point, server="invoices", address=ADDRESS)

        def read(invoice: str) -> str:
            """Reads one invoice."""
            self.ran.append(("read", {"invoice": invoice}))
            return f'{{"invoice": "{invoice}", "total": "120.00", "iban": "DE02120300000000202051"}}'

        def adjust(amount: int, currency: str) -> str:
            """Changes the total."""
            self.ran.append(("adjust", {"amount": amount, "currency": currency}))
            raise RuntimeError("the ledger is closed")

        def delete(invoice: str) -> str:
            """Deletes one invoice."""
            self.ran.append(("delete", {"invoice": invoice}))
            return "deleted"

        self.stage = Stage(self.guard, [read, adjust, delete], [])

    def play(self, play: Play, *script: tuple[str, dict[str, Any]], before: Callable[[int], None] = lambda _: None) -> list[str]:
        said: list[str] = []
        for _ in range(5):
            self.ran.clear()
            said = play(replace(self.stage, script=script, before=before))
            if not any(code in each for each in said for code in PASSING):
                break
        assert len(said) == len(script), said
        return said

    def reported(self) -> list[str]:
        """The outcomes' statuses, once the decision point took them all."""
        assert self.point.delivered(60)
        assert not self.problems, self.problems
        assert all(each["enforced_by"] == "in_process" for each in self.outcomes.signed.values())
        return [each["status"] for each in self.outcomes.signed.values()]


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Generator[Installation, None, None]:
    policies = tmp_path_factory.mktemp("policies")
    for file in (ROOT / "policies/schema.cedarschema", ROOT / "clients/python/tests/sdk.cedar"):
        shutil.copy(file, policies)
    with installation("--policies", policies, timeout=150) as found:
        yield found


@pytest.fixture(scope="session")
def agent(dev: Installation) -> Generator[Agent, None, None]:
    with Agent.from_env(dev.env) as found:
        yield found


@pytest.fixture
def world(dev: Installation, agent: Agent) -> Generator[World, None, None]:
    found = World(dev, agent)
    with found.point:
        yield found


def revoke(dev: Installation, grant: str) -> None:
    """As an operator does."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=f"{dev.env['BAILIWICK_DATA']}/operator.sock"), base_url="http://operator") as operator:
        answer = operator.post("/operator/revocations", json={"kind": "grant", "target": grant, "wait_ms": 20_000}, timeout=60)
        assert answer.status_code == 200, answer.text


each_loop = pytest.mark.parametrize("play", LOOPS, ids=lambda play: play.__name__)


@each_loop
def test_an_allowed_call_runs_once_and_is_reported(play: Play, world: World) -> None:
    (said,) = world.play(play, ("read", {"invoice": "INV-1"}))
    assert "120.00" in said
    # A policy hides this field, from the model too.
    assert "[redacted]" in said
    assert "DE0212" not in said
    assert world.ran == [("read", {"invoice": "INV-1"})]
    assert world.reported()[-1:] == ["succeeded"]


@each_loop
def test_a_denied_call_does_not_run_and_the_model_learns_why(play: Play, world: World) -> None:
    said = world.play(play, ("delete", {"invoice": "INV-1"}), ("adjust", {"amount": 501, "currency": "EUR"}), ("read", {"invoice": "INV-2"}))
    assert "DENIED (action_not_granted)" in said[0]
    assert "DENIED (argument_out_of_bounds)" in said[1]
    assert "120.00" in said[2]
    assert world.ran == [("read", {"invoice": "INV-2"})]


@each_loop
def test_a_tool_that_fails_is_reported_as_failed(play: Play, world: World) -> None:
    call = ("adjust", {"amount": 5, "currency": "EUR"})
    try:
        world.play(play, call)
    except RuntimeError:
        pass  # Some frameworks end the run.
    assert world.ran == [call]
    assert world.reported()[-1:] == ["failed"]


@each_loop
def test_a_call_after_the_revocation_is_denied(play: Play, world: World, dev: Installation) -> None:
    def before(turn: int) -> None:
        if turn == 1:
            revoke(dev, world.grant)

    said = world.play(play, ("read", {"invoice": "INV-1"}), ("read", {"invoice": "INV-2"}), before=before)
    assert "DENIED" in said[1]
    assert world.ran == [("read", {"invoice": "INV-1"})]


@each_loop
def test_without_its_decision_point_nothing_runs(play: Play, dev: Installation, agent: Agent) -> None:
    world = World(dev, agent, env={"BAILIWICK_URL": f"http://localhost:{free_port()}"})
    with world.point:
        (said,) = world.play(play, ("read", {"invoice": "INV-1"}))
    assert "DENIED (pdp_unavailable)" in said
    assert world.ran == []


@each_loop
def test_without_its_issuer_nothing_runs(play: Play, dev: Installation, world: World) -> None:
    with Agent.from_env({**dev.env, "BAILIWICK_URL": f"http://localhost:{free_port()}"}) as away:
        world.stage.guard = ToolGuard(away, world.grant, world.point, server="invoices", address=ADDRESS)
        (said,) = world.play(play, ("read", {"invoice": "INV-1"}))
    assert "DENIED (service_unreachable)" in said
    assert world.ran == []


def test_a_point_that_is_not_in_process_is_no_place_for_it(dev: Installation, agent: Agent) -> None:
    with EnforcementPoint.from_env(OutcomesInMemory(), dev.env) as point, pytest.raises(BailiwickError, match="config_invalid"):
        ToolGuard(agent, "grt_0123456789", point, server="invoices", address=ADDRESS)


async def api(scope: Any, receive: Any, send: Any) -> None:
    body = b'{"total": "120.00"}'
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("play", [each for each in LOOPS if each.__name__ != "langchain"], ids=lambda play: play.__name__)
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_tool_calls_a_guarded_api_under_the_same_grant(play: Play, library: Any, world: World, dev: Installation, agent: Agent) -> None:
    """Where the enforcement is: the tool passes the agent's right on to an API, which decides for itself."""
    auth: Any = (bailiwick.httpx if library is httpx else bailiwick.httpx2).Auth

    async def read(invoice: str) -> str:
        """Reads one invoice."""
        world.ran.append(("read", {"invoice": invoice}))
        there = Guard(api, point=outside, base_url=ADDRESS, routes={"POST /read": READ, "POST /delete": tool("invoices/delete")})
        transport = library.ASGITransport(app=there)
        async with library.AsyncClient(transport=transport, auth=auth(agent, world.grant, action=READ), base_url=ADDRESS) as client:
            read = await client.post("/read", json={"invoice": invoice})
        async with library.AsyncClient(transport=transport, auth=auth(agent, world.grant), base_url=ADDRESS) as client:
            deleted = await client.post("/delete", json={"invoice": invoice})
        return json.dumps({"read": read.json(), "deleted": deleted.json()["code"]})

    outcomes = Outcomes()
    with EnforcementPoint.from_env(outcomes, dev.env) as outside:
        world.stage.tools = [read]
        (said,) = world.play(play, ("read", {"invoice": "INV-1"}))
        assert outside.delivered(60)
    assert "120.00" in said
    assert "action_not_granted" in said
    assert ["enforced_by" in each for each in outcomes.signed.values()] == [False]
    assert world.reported()[-1:] == ["succeeded"]


def test_the_program_of_the_page_works(dev: Installation, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/how-to/frameworks.md").read_text()
    found = re.search(r"^```python assistant.py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "assistant.py").write_text(found[1])
    for name, value in dev.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    model = langchain_model(replace(world.stage, script=[("read", {"invoice": "INV-1"})]))
    program = runpy.run_path("assistant.py", init_globals={"model": model})
    said = ""
    for _ in range(5):
        said = str(program["assistant"].invoke({"messages": [("user", "go")]}))
        if not any(code in said for code in PASSING):
            break
    program["point"].close()
    program["agent"].close()
    assert "INV-1: 120.00" in said
    assert "DENIED" not in said
