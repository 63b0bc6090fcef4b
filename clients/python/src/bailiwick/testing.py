"""A throw-away installation for tests, in which a program approves: `bailiwick dev`.

    with installation() as dev:
        agent = Agent.from_env(dev.env)
        point = EnforcementPoint.from_env(OutcomesInMemory(), dev.env)

It proves that an agent, an enforcement point and policies work together, and nothing about people.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import BailiwickError


@dataclass(frozen=True)
class Installation:
    url: str
    #: The names that `bailiwick dev --env` writes, for `from_env` and for programs.
    env: dict[str, str]


def _command() -> list[str]:
    # Never one that npx would fetch: the name may be a stranger's.
    return shlex.split(os.environ.get("BAILIWICK_COMMAND", "npx --no-install bailiwick"))


@contextmanager
def installation(
    *options: str | os.PathLike[str],
    command: Sequence[str] | None = None,
    port: int | None = None,
    timeout: float = 60.0,
) -> Generator[Installation, None, None]:
    """Starts `bailiwick dev` with these options, as `"--registry", path`, and ends it. Raises `service_unready` with its last words
    if it does not start. The command is that of `BAILIWICK_COMMAND`, otherwise the `bailiwick` that npm installed here."""
    with tempfile.TemporaryDirectory(prefix="bailiwick-") as folder:
        file, log = Path(folder, "env"), Path(folder, "log")
        args = [*(command or _command()), "dev", "--port", str(port or free_port()), "--env", str(file)]
        args += [os.fspath(each) for each in options]
        # The kernel closes this pipe if this process is killed.
        args += ["--until-input-ends"]
        with log.open("wb") as output:
            # No setting of a real installation reaches this one.
            env = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
            popen = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=env)
            with popen as program:
                try:
                    deadline = time.monotonic() + timeout
                    while b"Bailiwick is ready" not in log.read_bytes():
                        if program.poll() is not None or time.monotonic() > deadline:
                            said = log.read_text("utf-8", "replace")[-2000:]
                            raise BailiwickError("service_unready", f"bailiwick dev did not start: {said}")
                        time.sleep(0.05)
                    names = _read_env(file.read_text("utf-8"))
                    yield Installation(names["BAILIWICK_URL"], names)
                finally:
                    program.terminate()
                    try:
                        program.wait(20)
                    except subprocess.TimeoutExpired:
                        program.kill()
                        program.wait()


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _read_env(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value.strip("\"'") for name, _, value in lines}
