"""The README's programs, as they stand there. `api.py` and `agent.py` are run by test/consumers/first-agent.test.ts."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from bailiwick import Presented
from bailiwick.refusal import Denied
from bailiwick.testing import Installation

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
