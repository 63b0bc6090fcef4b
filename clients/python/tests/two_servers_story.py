"""python two_servers_story.py GRANT URL…: one agent calls servers with nonces of their own in turn, for
test/consumers/composed-nonces.test.ts. Prints the statuses as JSON."""

from __future__ import annotations

import json
import sys

import httpx

from bailiwick import Agent
from bailiwick.httpx import Auth

#: Codes that a busy machine can cause.
PASSING = ("deadline_exceeded", "pdp_unavailable", "state_stale", "queue_full", "evidence_unavailable")


def story(grant: str, *servers: str) -> list[int]:
    seen: list[int] = []
    with Agent.from_env() as agent, httpx.Client() as client:
        for server in servers * 5:
            seen.append(call(client, server, Auth(agent, grant, resource=server)))
    return seen


def call(client: httpx.Client, server: str, auth: Auth) -> int:
    answer = client.get(f"{server}/invoices/INV-1", auth=auth)
    for _ in range(20):
        if answer.json().get("error") not in PASSING:
            break
        answer = client.get(f"{server}/invoices/INV-1", auth=auth)
    return answer.status_code


if __name__ == "__main__":
    print(json.dumps(story(*sys.argv[1:])))
