"""The README's programs, as they stand there."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from bailiwick import EnforcementPoint, Presented
from bailiwick.refusal import Denied
from bailiwick.testing import Installation, free_port

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dev: Installation) -> Path:
    for name, code in re.findall(r"^```python (\S+)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(code)
    for name, value in dev.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_api_takes_at_most_15_lines() -> None:
    found = re.search(r"^```python api.py\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) <= 15


def test_the_api_and_the_agent_work_together(programs: Path) -> None:
    # The port of the README may be taken here: the programs use another, and the API keeps its registered address.
    port = free_port()
    agent = programs / "agent.py"
    code = agent.read_text().replace("httpx.Client(", "httpx.Client(transport=Here(), ")
    agent.write_text(HERE.format(port=port) + code)
    api = runpy.run_path(str(programs / "api.py"))
    server = uvicorn.Server(uvicorn.Config(api["app"], port=port, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        # A decision that a busy machine makes too late is a 503, and the whole program may run again.
        said = ""
        for _ in range(5):
            ran = subprocess.run([sys.executable, str(agent)], capture_output=True, text=True, timeout=120, check=False)
            said = ran.stdout + ran.stderr
            if "503" not in ran.stdout:
                break
        assert "200 {'invoice': 'INV-1', 'total': '120.00'}" in said, said
        point: EnforcementPoint = api["point"]
        assert point.delivered(60)
    finally:
        server.should_exit = True
        thread.join()
        api["point"].close()
    assert (programs / "outcomes.json").exists()


HERE = """
import httpx as real


class Here(real.HTTPTransport):
    def handle_request(self, request: real.Request) -> real.Response:
        there = request.url.copy_with(port={port})
        return super().handle_request(real.Request(request.method, there, headers=request.headers, stream=request.stream))


"""


def test_the_guarded_function_asks(programs: Path) -> None:
    module = runpy.run_path(str(programs / "tool.py"))
    with pytest.raises(Denied, match="credential_missing"):
        module["handle"](Presented("POST", "http://localhost:8430/read"), "INV-1")
    module["point"].close()


def test_the_test_runs(programs: Path) -> None:
    # With the installation that runs already: a second one takes seconds.
    module = (programs / "test_invoices.py").read_text().replace("with installation() as dev", "with running() as dev")
    (programs / "test_invoices.py").write_text(RUNNING + module)
    found = runpy.run_path(str(programs / "test_invoices.py"))
    found["test_the_agent_is_someone"]()


RUNNING = """
import os
from contextlib import contextmanager
from bailiwick.testing import Installation


@contextmanager
def running():
    yield Installation(os.environ["BAILIWICK_URL"], dict(os.environ))


"""
