"""The enforcement point, against a decision point that lies."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fake_pdp import CALLER, OUTCOME, PERMIT_KEY, STRANGER, TRUST, URL, FakePdp, call, certificate, name_of

from bailiwick import (
    Allowed,
    BailiwickError,
    Denied,
    Effect,
    EnforcementPoint,
    OutcomesInMemory,
    Permitted,
    Presented,
    Refusal,
    tool,
)
from bailiwick._json import sha256
from bailiwick._jws import signed_part, verified


def reason_of(point: EnforcementPoint, **properties: Any) -> str | None:
    """Why the call was refused; None: its effect ran."""
    ran: list[int] = []
    found = point.guard(call(**properties), lambda _: ran.append(1))
    assert len(ran) == (0 if isinstance(found, Refusal) else 1)
    return found.reason if isinstance(found, Refusal) else None


def test_the_effect_runs_once_with_what_was_decided_and_is_reported() -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        asked = call(invoice="INV-1", lines=[1, 2.5])
        found = point.guard(asked, lambda it: dict(it.action.properties), lambda _: Effect(http_status=200, egress_bytes=7))
        assert isinstance(found, Allowed)
        assert found.result == {"invoice": "INV-1", "lines": [1, 2.5]}
        point.guard(asked, lambda _: None)
        assert point.delivered(60)
    first, second = pdp.outcomes
    assert first["decision_id"] == found.decision_id
    assert first["action_digest"] == name_of(asked.action) != asked.action.digest
    assert (first["status"], first["http_status"], first["egress_bytes"]) == ("succeeded", 200, 7)
    assert (first["sequence"], first["answered"], first["instance"]) == (1, 0, point.instance)
    assert "previous" not in first
    assert "enforced_by" not in first
    assert (second["sequence"], second["previous"]) == (2, sha256(signed_part(pdp.signed[0])))
    for jws in pdp.signed:
        assert verified(jws, "bailiwick-outcome+jws", OUTCOME.kid, OUTCOME.public_jwk) is not None
    assert pdp.asked[0]["context"]["supported_obligations"] == ["custom", "step-up"]


def test_a_point_in_the_agents_own_process_says_so_in_each_outcome() -> None:
    pdp = FakePdp()
    with pdp.point(in_process=True) as point:
        point.guard(call(), lambda _: None)
        assert point.delivered(60)
    assert [each["enforced_by"] for each in pdp.outcomes] == ["in_process"]


PERMITS: list[tuple[str, dict[str, Any]]] = [
    ("of another decision point", {"iss": "https://thief.example"}),
    ("for another enforcement point", {"aud": "payments-api"}),
    ("for another start", {"instance": "AAAAAAAAAAAAAAAAAAAAAA"}),
    ("for another action", {"action_digest": sha256("another")}),
    ("of another decision", {"jti": "dec_0123456789abcdefghij"}),
    ("that is over", {"iat": int(time.time()) - 60, "exp": int(time.time()) - 55}),
    ("that is not valid yet", {"iat": int(time.time()) + 86_400, "exp": int(time.time()) + 86_404}),
    ("that lives too long", {"exp": int(time.time()) + 3600}),
    ("without an end", {"exp": None}),
    ("with a fraction for a time", {"iat": time.time()}),
    ("without a grant", {"grant": None}),
    ("with a member that is not understood", {"only_if": "raining"}),
    ("with a salt that is none", {"action_salt": "short"}),
    ("with obligations that are no list", {"obligations": {}}),
]


@pytest.mark.parametrize(("what", "change"), PERMITS)
def test_no_effect_runs_under_a_permit(what: str, change: dict[str, Any]) -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        assert reason_of(point) is None
        pdp.permit = lambda claims: claims | change
        assert reason_of(point) == "permit_invalid", what
        assert point.delivered(60)
    # Such a permit may name another call, so the point reports nothing of it.
    assert len(pdp.outcomes) == 1


def test_no_effect_runs_under_a_permit_by_a_key_that_the_root_did_not_certify_for_permits() -> None:
    for key, certificates in [
        (STRANGER, [certificate()]),
        (PERMIT_KEY, []),
        (PERMIT_KEY, [certificate(purpose="pdp-event")]),
        (PERMIT_KEY, [certificate(installation="ins_another0123456")]),
        (PERMIT_KEY, [certificate(not_after="2020-01-01T00:00:00.000Z")]),
        (PERMIT_KEY, [certificate(not_before="2090-01-01T00:00:00.000Z")]),
        (PERMIT_KEY, [certificate()[:-8] + "AAAAAAAA"]),
        (PERMIT_KEY, [certificate(jwk=STRANGER.public_jwk)]),
    ]:
        pdp = FakePdp()
        pdp.key, pdp.certificates = key, certificates
        with pdp.point() as point:
            assert reason_of(point) == "permit_invalid"
    pdp = FakePdp()
    pdp.typ = "bailiwick-outcome+jws"
    with pdp.point() as point:
        assert reason_of(point) == "permit_invalid"


def test_a_replayed_permit_runs_nothing_again() -> None:
    pdp = FakePdp()
    with pdp.point() as point, pdp.point() as replica:
        answers: list[Any] = []

        def replay(answer: Any) -> Any:
            answers.append(answer)
            return answers[0]

        pdp.answer = replay
        assert reason_of(point) is None
        assert reason_of(point) == "permit_used"
        assert reason_of(point, invoice="INV-2") == "permit_invalid"
        assert reason_of(replica) == "permit_invalid"


def test_many_threads_get_one_use_of_one_permit() -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        answers: list[Any] = []
        lock = threading.Lock()

        def replay(answer: Any) -> Any:
            with lock:
                answers.append(answer)
                return answers[0]

        pdp.answer = replay
        ran: list[int] = []
        threads = [threading.Thread(target=lambda: point.guard(call(), lambda _: ran.append(1))) for _ in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert ran == [1]


ANSWERS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda _: {"decision": "true"}, "pdp_unavailable"),
    (lambda answer: answer | {"decision": 1}, "pdp_unavailable"),
    (lambda _: {"decision": True}, "pdp_unavailable"),
    (lambda _: {"decision": False}, "internal"),
    (lambda _: {"decision": False, "context": {"reason": "made_up_tomorrow"}}, "internal"),
    (lambda _: {"decision": False, "context": {"reason": "grant_revoked"}}, "grant_revoked"),
    (lambda _: httpx.Response(200, text='{"decision": true, "decision": false}'), "pdp_unavailable"),
    (lambda _: httpx.Response(200, text="<html>"), "pdp_unavailable"),
    (lambda _: httpx.Response(200, content=b" " * 1_100_000), "pdp_unavailable"),
    (lambda _: httpx.Response(307, headers={"location": "https://thief.example/"}), "pdp_unavailable"),
    (lambda answer: httpx.Response(302, headers={"location": "https://thief.example/"}, json=answer), "pdp_unavailable"),
    (lambda answer: httpx.Response(500, json=answer), "pdp_unavailable"),
    (lambda answer: httpx.Response(201, json=answer), "pdp_unavailable"),
    (lambda _: httpx.Response(400, json={}), "request_invalid"),
    (lambda _: httpx.Response(429, json={"code": "decision_quota_exceeded"}), "decision_quota_exceeded"),
    (lambda _: httpx.Response(429, json={}), "queue_full"),
    (lambda answer: httpx.Response(200, json=answer, headers={"content-encoding": "gzip"}), "pdp_unavailable"),
]


@pytest.mark.parametrize(("answer", "code"), ANSWERS)
def test_what_is_no_clear_yes_is_a_no(answer: Callable[[Any], Any], code: str) -> None:
    pdp = FakePdp()
    pdp.answer = answer
    with pdp.point() as point:
        assert reason_of(point) == code
    assert all(each.startswith(URL) for each in pdp.paths)


def test_a_lost_answer_is_asked_for_again_under_the_same_call_id() -> None:
    pdp = FakePdp()
    lost = [True, True]
    pdp.answer = lambda answer: answer
    decide = pdp._decide  # pyright: ignore[reportPrivateUsage]

    def sometimes(request: httpx.Request) -> httpx.Response | None:
        import json

        body = json.loads(request.content)
        if lost and lost.pop():
            pdp.asked.append(body)
            return None
        return decide(request, body)

    pdp.instead["/access/v1/evaluation"] = sometimes
    with pdp.point() as point:
        assert reason_of(point) is None
    assert len({each["context"]["bailiwick"]["call_id"] for each in pdp.asked}) == 1
    assert len(pdp.asked) == 3


def test_obligations_are_kept_or_the_call_is_refused() -> None:
    def own(action: str, **more: Any) -> dict[str, Any]:
        return {"id": action, "type": "custom", "properties": {"vendor": "bailiwick", "action": action, **more}}

    pdp = FakePdp()
    with pdp.point() as point:
        for unknown in [
            own("dance"),
            own("limit", bytes=0),
            own("limit", bytes=10, more=1),
            {"id": "n", "type": "notification", "properties": {"to": "a", "body": "b"}},
            {"id": "s", "type": "step-up", "properties": {"acr_value": "x"}},
            own("redact", fields=[]),
            "text",
        ]:
            pdp.obligations = [unknown]
            assert reason_of(point) == "obligation_unknown"
        pdp.obligations = [own("limit", bytes=10), own("limit", bytes=10)]
        assert reason_of(point) == "obligation_unknown"
        # Beside the permit another obligation than in it.
        pdp.obligations = [own("limit", bytes=10)]
        pdp.answer = lambda answer: {**answer, "context": {**answer["context"], "obligations": []}}
        assert reason_of(point) == "obligation_unknown"
        pdp.answer = lambda answer: answer
        pdp.obligations = [own("redact", fields=["iban", "owner/email"]), own("limit", bytes=200)]
        answer = {"iban": "DE1", "owner": {"email": "a@b", "name": "A"}, "text": '{"iban": "DE1"}', "list": [{"iban": "DE2"}]}
        found = point.guard(call(), lambda _: answer)
        assert isinstance(found, Allowed)
        assert found.result == {
            "iban": "[redacted]",
            "owner": {"email": "[redacted]", "name": "A"},
            "text": '{"iban":"[redacted]"}',
            "list": [{"iban": "[redacted]"}],
        }
        for bad in ("x" * 300, "{'iban': 'DE1'}", '{"\\u0069ban": 1} {}', object(), b"\xff"):
            with pytest.raises(BailiwickError, match="answer_withheld"):
                point.guard(call(), lambda _, bad=bad: bad)
        assert point.delivered(60)
    statuses = [each["status"] for each in pdp.outcomes]
    assert statuses == ["not_executed"] * 9 + ["succeeded"] * 6
    assert [each["egress_bytes"] for each in pdp.outcomes[-5:]] == [0] * 5


def test_what_an_effect_raises_is_reported_and_raised() -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        for error in (ValueError("secret"), BailiwickError("upstream_unreachable"), BailiwickError("outcome_unknown"), KeyboardInterrupt()):

            def effect(_: Permitted, error: BaseException = error) -> None:
                raise error

            with pytest.raises(type(error)):
                point.guard(call(), effect)
        assert point.delivered(60)
    assert [each["status"] for each in pdp.outcomes] == ["failed", "not_executed", "unknown", "unknown"]
    assert "secret" not in str(pdp.outcomes)


def test_an_effect_that_no_outcome_can_hold_is_reported_without_its_description() -> None:
    pdp = FakePdp()
    wrong: list[dict[str, Any]] = [
        {"cost": {"amount": "1,50", "currency": "EUR"}},
        {"cost": {"amount": "1.50"}},
        {"egress_bytes": -1},
        {"http_status": 99},
        {"detail_hash": "short"},
        {"status": "fine"},
    ]
    with pdp.point() as point:
        for each in wrong:
            point.guard(call(), lambda _: None, lambda _, each=each: Effect(**each))
        point.guard(call(), lambda _: None, lambda _: Effect(cost={"amount": "1.50", "currency": "EUR"}))
        assert point.delivered(60)
    assert [each["status"] for each in pdp.outcomes] == ["succeeded"] * 7
    assert [each.get("cost") for each in pdp.outcomes] == [None] * 6 + [{"amount": "1.50", "currency": "EUR"}]


def test_a_call_that_goes_on_ends_with_its_grant() -> None:
    pdp = FakePdp()
    with pdp.point(most_silence=60.0) as point:

        def effect(it: Permitted) -> None:
            pdp.over[it.decision_id] = "grant_revoked"
            while True:
                it.check()
                time.sleep(0.01)

        with pytest.raises(BailiwickError, match="stream_cut: grant_revoked"):
            point.guard(call(), effect)

        async def effect_async(it: Permitted) -> None:
            pdp.over[it.decision_id] = "grant_revoked"
            await asyncio.sleep(60)

        with pytest.raises(BailiwickError, match="stream_cut: grant_revoked"):
            asyncio.run(point.guard_async(call(), effect_async))
        assert point.delivered(60)
    assert [(each["status"], each["cut"]) for each in pdp.outcomes] == [("unknown", "grant_revoked")] * 2


def test_a_call_of_which_nothing_is_heard_ends() -> None:
    pdp = FakePdp()
    pdp.instead["/v1/open-calls"] = lambda _: None
    with pdp.point(most_silence=0.5) as point:

        async def effect(_: Permitted) -> None:
            await asyncio.sleep(60)

        with pytest.raises(BailiwickError, match="stream_cut: pdp_unavailable"):
            asyncio.run(point.guard_async(call(), effect))


def test_a_caller_that_leaves_while_the_decision_is_made_leaves_no_permit_behind() -> None:
    pdp = FakePdp()
    deciding = threading.Event()

    def slow(answer: Any) -> Any:
        deciding.set()
        time.sleep(0.3)
        return answer

    pdp.answer = slow
    ran: list[int] = []

    async def effect(_: Permitted) -> None:
        ran.append(1)

    async def leave(point: EnforcementPoint) -> None:
        task = asyncio.create_task(point.guard_async(call(), effect))
        await asyncio.to_thread(deciding.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with pdp.point() as point:
        asyncio.run(leave(point))
        deadline = time.monotonic() + 60
        while not pdp.outcomes and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ran == []
    assert [each["status"] for each in pdp.outcomes] == ["not_executed"]


def test_a_guarded_function_gets_what_was_decided() -> None:
    pdp = FakePdp()
    shown = Presented("POST", "https://invoices.example/read", "a.b.c", "d.e.f")
    with pdp.point() as point:

        @point.guarded(tool("invoices/read"))
        def read(invoice: str, copies: int = 1) -> dict[str, Any]:
            return {"invoice": invoice, "copies": copies}

        @point.guarded(tool("invoices/read"))
        async def read_later(invoice: str) -> str:
            return invoice

        assert read(shown, "INV-1") == {"invoice": "INV-1", "copies": 1}
        assert asyncio.run(read_later(shown, invoice="INV-2")) == "INV-2"
        assert [each["action"]["properties"] for each in pdp.asked] == [{"invoice": "INV-1", "copies": 1}, {"invoice": "INV-2"}]
        pdp.answer = lambda _: {"decision": False, "context": {"reason": "budget_exhausted"}}
        with pytest.raises(Denied, match="budget_exhausted") as raised:
            read(shown, invoice="INV-1")
        assert raised.value.refusal.problem["status"] == 403
        with pytest.raises(TypeError):

            @point.guarded(tool("invoices/read"))
            def anything(**_: str) -> None: ...


def test_a_call_id_is_decided_once_at_a_time() -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        inside: list[Any] = []

        def meanwhile(answer: Any) -> Any:
            if not inside:
                inside.append(None)
                inside[0] = point.guard(call("the-very-same-call-id"), lambda _: None)
            return answer

        pdp.answer = meanwhile
        assert isinstance(point.guard(call("the-very-same-call-id"), lambda _: None), Allowed)
    assert isinstance(inside[0], Refusal)
    assert inside[0].reason == "call_in_progress"


def test_a_point_refuses_the_wrong_keys_and_after_a_fork_every_call() -> None:
    with pytest.raises(BailiwickError, match="key_purpose_wrong"):
        EnforcementPoint(id="x", trust=TRUST, caller_key=OUTCOME, outcome_key=CALLER, outcomes=OutcomesInMemory())
    pdp = FakePdp()
    with pdp.point() as point:
        child = os.fork()
        if child == 0:
            found = point.guard(call(), lambda _: None)
            os._exit(0 if isinstance(found, Refusal) and found.reason == "outcomes_locked" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert reason_of(point) is None


def test_no_call_begins_while_the_decision_point_cannot_learn_what_happens() -> None:
    pdp = FakePdp()
    with pdp.point(most_pending=2) as point:
        pdp.instead["/v1/outcomes"] = lambda _: httpx.Response(503)
        assert [reason_of(point) for _ in range(3)] == [None, None, "queue_full"]
        assert point.obstacle == "queue_full"
        del pdp.instead["/v1/outcomes"]
        assert point.delivered(60)
        assert (reason_of(point), point.obstacle) == (None, None)
    problems: list[str] = []

    def note(problem: BailiwickError) -> None:
        problems.append(problem.code)

    pdp.instead["/v1/outcomes"] = lambda _: httpx.Response(401, json={"code": "key_unknown"})
    with pdp.point(on_problem=note) as point:
        assert reason_of(point) is None
        deadline = time.monotonic() + 60
        while point.obstacle is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert reason_of(point) == "outcomes_unverified"
        del pdp.instead["/v1/outcomes"]
        assert point.delivered(60)
        assert reason_of(point) is None
    assert problems == ["key_unknown"]
