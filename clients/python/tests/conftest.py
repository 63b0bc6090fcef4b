"""One throw-away installation for all tests, and one approved task."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from bailiwick import Agent, permission, task, tool
from bailiwick.testing import Installation, installation

READ = tool("invoices/read")


@pytest.fixture(scope="session")
def dev() -> Generator[Installation, None, None]:
    with installation() as found:
        yield found


@pytest.fixture(scope="session")
def agent(dev: Installation) -> Generator[Agent, None, None]:
    with Agent.from_env(dev.env) as found:
        yield found


@pytest.fixture(scope="session")
def grant(agent: Agent) -> str:
    asked = agent.ask(task("read-invoices", [permission("tools/call", READ)], budget={"calls": 500}), purpose="Read invoices.")
    return agent.wait(asked, timeout=60).grant


@pytest.fixture(scope="session")
def root() -> Path:
    return next(folder for folder in Path(__file__).parents if (folder / "test/vectors").is_dir())
