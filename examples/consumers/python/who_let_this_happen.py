#!/usr/bin/env python3
"""Who let this happen? Reads evidence.v1 from Kafka to its end, verifies every event back to trust.json, and prints one
line for each action that has to do with ID: a decision, call, grant, request, credential, agent, approver, task or resource.

Columns, by tabs: time (ms), ALLOW | DENY, reason, outcome, agent, action, resource, the approvers whose signatures hold
(and who said yes to this one action), the agent's owner, task, request, chain of agents, decision, leaf of the log.
Exit status: 0 all was good, 1 something was BAD or nothing was found, 2 it could not run.
"""

import argparse
import sys
import time

from bailiwick_events import KeyRing, Refused
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from consume import PATIENCE, RegistryReader, arguments, bad_line, client, give_up_on, partitions_of, run, text_of
from who import Actions

TOPIC = "evidence.v1"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("id", nargs="?", metavar="ID", help="all actions there are without it")
    options = arguments(parser)
    with open(options.trust, "rb") as file:
        keys = KeyRing(file.read())
    registry, consumer = RegistryReader(client(options), keys), client(options)
    try:
        registry.catch_up()
        actions, bad = Actions(), 0
        for record in whole(consumer):
            try:
                key, data = text_of(record.key()), record.value() or b""
                actions.fold(keys.verify(TOPIC, key, data))
            except Refused as refused:
                bad += 1
                print(bad_line(TOPIC, record, refused), flush=True)
        lines = actions.lines(options.id)
    finally:
        consumer.close()
        registry.close()
    for line in lines:
        print(line)
    if not lines:
        print("who_let_this_happen: no action has to do with that", file=sys.stderr)
    return 1 if bad or registry.bad or not lines else 0


def whole(consumer):
    """The topic as it is now: its one partition is the order of the log."""
    if partitions_of(consumer, TOPIC) != [0]:
        raise RuntimeError(f"{TOPIC} has more than one partition: it is not in the order of the log")
    partition = TopicPartition(TOPIC, 0, OFFSET_BEGINNING)
    first, end = consumer.get_watermark_offsets(partition, timeout=PATIENCE)
    consumer.assign([partition])
    ends_at = time.monotonic() + PATIENCE
    while first < end:
        records = consumer.consume(num_messages=500, timeout=0.2)
        if records:
            ends_at = time.monotonic() + PATIENCE
        elif time.monotonic() > ends_at:
            raise RuntimeError(f"{TOPIC} could not be read to its end")
        for record in records:
            if record.error():
                give_up_on(record.error())
                continue
            first = record.offset() + 1
            if first <= end:
                yield record


if __name__ == "__main__":
    run("who_let_this_happen", main)
