"""Outcomes survive their process, and no two processes have one file."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_pdp import OUTCOME, FakePdp, call

from bailiwick import BailiwickError, OutcomeFile
from bailiwick._jws import sign

HOLDER = """
import sys
from bailiwick import OutcomeFile
held = OutcomeFile(sys.argv[1])
held.open()
print("held", flush=True)
sys.stdin.read()
"""


def outcome(sequence: int) -> str:
    return sign("bailiwick-outcome+jws", {"instance": "earlier", "sequence": sequence}, OUTCOME)


def test_two_processes_do_not_have_one_file(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.json"
    pdp = FakePdp()
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BailiwickError, match="outcomes_locked"):
            pdp.point(outcomes=path)
        # However the other one dies.
        other.kill()
        other.wait()
        with pdp.point(outcomes=path):
            with pytest.raises(BailiwickError, match="outcomes_locked"):
                pdp.point(outcomes=path)
        with pdp.point(outcomes=path) as point:
            point.guard(call(), lambda _: None)


def test_an_outcome_is_durable_before_it_leaves_and_delivered_by_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "outcomes.json"
    pdp = FakePdp()
    seen: list[int] = []

    def away(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        stored = json.loads(path.read_text())["pending"]
        seen.append(len(stored))
        assert set(body.get("outcomes") or [body["outcome"]]) <= set(stored)
        return httpx.Response(503)

    pdp.instead["/v1/outcomes"] = away
    with pdp.point(outcomes=path) as point:
        for _ in range(3):
            point.guard(call(), lambda _: None)
        deadline = time.monotonic() + 30
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not point.delivered(0.1)
        first = point.instance
    assert seen
    left = json.loads(path.read_text())
    assert left["v"] == 2
    assert len(left["pending"]) == 3
    assert path.stat().st_mode & 0o077 == 0
    pdp.instead.clear()
    with pdp.point(outcomes=path) as point:
        assert point.delivered(60)
        # As that start signed them, and this one counts from 1.
        assert [each["sequence"] for each in pdp.outcomes] == [1, 2, 3]
        assert {each["instance"] for each in pdp.outcomes} == {first}
        point.guard(call(), lambda _: None)
    assert pdp.outcomes[-1]["sequence"] == 1
    assert "previous" not in pdp.outcomes[-1]
    assert json.loads(path.read_text())["pending"] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"v":3,"pending":[]}',
        '{"v":2}',
        '{"v":2,"pending":["a.b"]}',
        '{"v":2,"pending":[7]}',
        '{"v":2,"pending":[],"pending":[]}',
        '{"v":2,"pending":[],"more":1}',
    ],
)
def test_a_point_does_not_start_over_a_file_that_it_cannot_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "outcomes.json"
    path.write_text(text)
    with pytest.raises(BailiwickError, match="config_invalid"):
        FakePdp().point(outcomes=path)
    assert path.read_text() == text
    # The lock is free again.
    path.unlink()
    FakePdp().point(outcomes=path).close()


def test_a_tampered_outcome_is_refused_and_holds_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.json"
    good, changed = outcome(1), outcome(2)
    header, _, signature = changed.split(".")
    changed = f"{header}.{outcome(3).split('.')[1]}.{signature}"
    path.write_text(json.dumps({"v": 2, "pending": [changed, good]}))
    pdp = FakePdp()

    def judge(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        listed: list[str] = body.get("outcomes") or [body["outcome"]]
        results: list[dict[str, Any]] = [{"status": 401, "code": "signature_invalid"} if each == changed else {"status": 204} for each in listed]
        pdp.signed += [each for each in listed if each != changed]
        if "outcomes" in body:
            return httpx.Response(200, json={"results": results})
        return httpx.Response(results[0]["status"], json=results[0]) if results[0]["status"] != 204 else httpx.Response(204)

    pdp.instead["/v1/outcomes"] = judge
    problems: list[str] = []

    def note(problem: BailiwickError) -> None:
        problems.append(problem.code)

    with pdp.point(outcomes=path, on_problem=note) as point:
        point.guard(call(), lambda _: None)
        deadline = time.monotonic() + 60
        while len(pdp.signed) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        # An outcome that an earlier start left behind does not stop this start.
        assert point.obstacle is None
    assert good in pdp.signed
    assert len(pdp.signed) == 2
    assert problems == ["signature_invalid"]
    assert json.loads(path.read_text())["pending"] == [changed]


def test_one_bad_outcome_does_not_hold_up_a_list(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.json"
    path.write_text(json.dumps({"v": 2, "pending": [outcome(n) for n in range(1, 6)]}))
    pdp = FakePdp()

    def refuse_lists(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if "outcomes" in body:
            return httpx.Response(400, json={})
        pdp.signed.append(body["outcome"])
        return httpx.Response(409 if len(pdp.signed) == 2 else 204)

    pdp.instead["/v1/outcomes"] = refuse_lists
    with pdp.point(outcomes=path) as point:
        assert point.delivered(60)
    assert len(pdp.signed) == 5


def test_a_store_that_cannot_be_written_lets_no_outcome_leave() -> None:
    class Broken(OutcomeFile):
        is_broken = True

        def __init__(self) -> None:
            super().__init__("never-made")
            self.saved: list[list[str]] = []

        def open(self) -> list[str]:
            return []

        def save(self, pending: list[str]) -> None:
            if self.is_broken:
                raise OSError("the disk is full")
            self.saved.append(pending)

    store, pdp = Broken(), FakePdp()
    with pdp.point(outcomes=store) as point:
        point.guard(call(), lambda _: None)
        assert not point.delivered(0.5)
        assert pdp.outcomes == []
        store.is_broken = False
        assert point.delivered(60)
    assert store.saved[0] == pdp.signed


def test_evidence_gets_each_outcome_too_even_if_the_decision_point_takes_none() -> None:
    pdp = FakePdp()
    told: list[dict[str, object]] = []
    untaken: list[str] = []

    def evidence(request: httpx.Request) -> httpx.Response:
        told.append(json.loads(request.content))
        return httpx.Response(200, json={"results": [{"status": 204}]})

    def away(request: httpx.Request) -> httpx.Response:
        untaken.append(json.loads(request.content)["outcome"])
        return httpx.Response(503)

    pdp.instead = {"/log/outcomes": evidence, "/v1/outcomes": away}
    with pdp.point(evidence_url="https://evidence.example/") as point:
        point.guard(call(), lambda _: None)
        deadline = time.monotonic() + 60
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
        del pdp.instead["/v1/outcomes"]
        assert point.delivered(60)
    # Each once, however often it was tried.
    assert told == [{"outcomes": untaken[:1], "answered": False}, {"outcomes": pdp.signed, "answered": True}]
