#!/usr/bin/env python3
"""Reads decisions.v1 from Kafka, verifies every event back to trust.json, and prints one line a decision.

Columns, by tabs: time, ALLOW | DENY | ABANDONED | VOID | BAD, reason, agent, action, resource, tree, decision.
Exit status: 0 all was good, 1 something was BAD, 2 it could not run.
"""

import argparse
import os
import sys
import time

from bailiwick_events import KeyRing, Refused
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from decisions import Decisions, printable

PATIENCE = 15  # seconds that a broker may take to answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from-beginning", action="store_true", help="else only what comes from now on")
    parser.add_argument("--max", type=int, default=0, help="stop after so many lines")
    parser.add_argument("--timeout", type=float, default=0, help="stop after so many seconds")
    options = arguments(parser)
    ends_at = time.monotonic() + options.timeout if options.timeout else None
    with open(options.trust, "rb") as file:
        keys = KeyRing(file.read())
    registry = RegistryReader(client(options), keys)
    decisions, consumer = Decisions(), client(options)
    start = OFFSET_BEGINNING if options.from_beginning else OFFSET_END
    consumer.assign([TopicPartition("decisions.v1", p, start) for p in partitions_of(consumer, "decisions.v1")])
    printed = bad = 0
    try:
        registry.catch_up()
        while ends_at is None or time.monotonic() < ends_at:
            records = consumer.consume(num_messages=500, timeout=0.2)
            if records:
                # A key is certified before anything is signed by it: what the registry holds now is enough for these.
                registry.catch_up()
            for record in records:
                if record.error():
                    give_up_on(record.error())
                    continue
                try:
                    key, data = text_of(record.key()), record.value() or b""
                    line = decisions.line(keys.verify("decisions.v1", key, data), data)
                except Refused as refused:
                    bad += 1
                    line = bad_line("decisions.v1", record, refused)
                if line is None:
                    continue
                print(line, flush=True)
                printed += 1
                if printed == options.max:
                    return 1 if bad or registry.bad else 0
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
        registry.close()
    return 1 if bad or registry.bad else 0


class RegistryReader:
    """registry.v1 from its start. Its one partition is the order in which keys begin and end."""

    def __init__(self, consumer: Consumer, keys: KeyRing):
        self._consumer, self._keys = consumer, keys
        self.bad = 0
        if partitions_of(consumer, "registry.v1") != [0]:
            raise RuntimeError("registry.v1 has more than one partition: what was said first is then not known")
        self._next = 0
        consumer.assign([TopicPartition("registry.v1", 0, OFFSET_BEGINNING)])

    def catch_up(self) -> None:
        """Reads up to what is its end now."""
        _, end = self._consumer.get_watermark_offsets(TopicPartition("registry.v1", 0), timeout=PATIENCE)
        ends_at = time.monotonic() + PATIENCE
        while self._next < end:
            record = self._consumer.poll(0.2)
            if time.monotonic() > ends_at:
                raise RuntimeError("registry.v1 could not be read to its end")
            if record is None:
                continue
            if record.error():
                give_up_on(record.error())
                continue
            self._next = record.offset() + 1
            try:
                self._keys.read_registry(text_of(record.key()), record.value() or b"")
            except Refused as refused:
                self.bad += 1
                print(bad_line("registry.v1", record, refused), flush=True)

    def close(self) -> None:
        self._consumer.close()


def text_of(key: bytes | None) -> str:
    try:
        return (key or b"").decode()
    except UnicodeDecodeError:
        raise Refused("event_malformed") from None


def bad_line(topic: str, record, refused: Refused) -> str:
    return "\t".join(["-", "BAD", refused.code, "-", "-", "-", "-", f"{topic}/{record.partition()}/{record.offset()}"])


def give_up_on(error: KafkaError) -> None:
    """The client goes on by itself while a broker is away; without the right to read it would wait for ever."""
    # It also looks for the group that it was named, and may not: nothing here needs one.
    harmless = (KafkaError._PARTITION_EOF, KafkaError.GROUP_AUTHORIZATION_FAILED)
    if error.code() not in harmless and not error.retriable():
        raise KafkaException(error)


def partitions_of(consumer: Consumer, topic: str) -> list[int]:
    found = consumer.list_topics(topic, timeout=PATIENCE).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    return sorted(found.partitions)


def client(options: argparse.Namespace) -> Consumer:
    config = {
        "bootstrap.servers": options.brokers,
        "client.id": "bailiwick-example-python",
        # The client wants a name, but partitions are assigned by hand and nothing is committed: no group, no right to one.
        "group.id": "unused",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "reconnect.backoff.ms": 500,
        "log_level": 0,  # error_cb tells
    }
    if options.ca:
        config |= {"security.protocol": "SSL", "ssl.ca.location": options.ca}
    if options.user:
        with open(options.password_file, encoding="utf-8") as file:
            password = file.read().strip()
        config |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": options.user,
            "sasl.password": password,
        }
    return Consumer(config, error_cb=report)


def report(error: KafkaError) -> None:
    if error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
        print(f"kafka: {printable(error.str())}", file=sys.stderr)


def arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Adds the options that every reader of Kafka here has to its own."""
    env = os.environ
    bus = env.get("BAILIWICK_BUS", "")
    data = env.get("BAILIWICK_DATA", ".bailiwick")
    parser.add_argument("--brokers", default=bus.removeprefix("kafka://") if bus.startswith("kafka://") else None)
    parser.add_argument("--trust", default=os.path.join(data, "trust.json"), help="the anchor; default %(default)s")
    parser.add_argument("--ca", default=env.get("BAILIWICK_KAFKA_CA"), help="PEM file of the brokers' CA")
    parser.add_argument("--user", default=env.get("BAILIWICK_KAFKA_USER"))
    parser.add_argument("--password-file", default=env.get("BAILIWICK_KAFKA_PASSWORD_FILE"))
    options = parser.parse_args()
    if not options.brokers:
        parser.error("--brokers host:port[,host:port…], or BAILIWICK_BUS=kafka://…")
    if options.user and not options.password_file:
        parser.error("--user needs --password-file")
    return options


def run(name: str, main) -> None:
    try:
        sys.exit(main())
    except (KafkaException, OSError, RuntimeError, ValueError, Refused) as error:
        print(f"{name}: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    run("consume", main)
