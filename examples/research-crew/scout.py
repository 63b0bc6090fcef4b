"""scout.py NAME DELEGATION TOPIC: searches the library under its part of the lead's task, until it is denied."""

import json
import os
import sys
import time

import httpx

from bailiwick import Agent, BailiwickError, read_key_file, tool
from bailiwick.httpx import Auth

CREW, LIBRARY = os.environ.get("CREW", "crew"), os.environ.get("LIBRARY", "http://localhost:8440")

name, delegation, topic = sys.argv[1:]
agent = Agent(
    agent_id=f"spiffe://bailiwick.local/agent/{name}",
    instance="i1",
    key=read_key_file(f"{CREW}/keys/{name}-i1.json", "agent"),
    installation=os.environ["BAILIWICK_INSTALLATION"],
    url=os.environ["BAILIWICK_URL"],
)
searches, waits, ended = 0, 0, ""
with agent, httpx.Client(auth=Auth(agent, delegation, action=tool("library/search")), timeout=30) as client:
    agent.credential(delegation)
    print("ready", flush=True)
    sys.stdin.readline()
    while not ended:
        wanted = {"topic": topic, "page": searches + 1, "amount": "0.20", "currency": "EUR"}
        try:
            answer = client.post(f"{LIBRARY}/search", json=wanted)
        except BailiwickError as error:
            ended = error.code
            continue
        said = answer.json()
        if answer.is_success:
            searches += 1
        elif "retry_after" in said and waits < 40:
            # The decision point is busy: it says in how many seconds the same call may succeed.
            waits += 1
            time.sleep(said["retry_after"])
        else:
            ended = said["code"]
print(json.dumps({"searches": searches, "ended": ended}))
