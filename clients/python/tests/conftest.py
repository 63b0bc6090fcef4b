"""One throw-away installation for all tests, and one approved task."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from bailiwick import Agent, permission, task, tool
from bailiwick.testing import Installation, installation

READ = tool("invoices/read")


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Generator[Installation, None, None]:
    policies = tmp_path_factory.mktemp("policies")
    for file in (root / "policies/schema.cedarschema", Path(__file__).with_name("sdk.cedar")):
        shutil.copy(file, policies)
    with installation("--policies", policies, timeout=150) as found:
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
