"""This reader against test/vectors/signed-events. No broker: python3 -m unittest"""

import json
import unittest
from pathlib import Path

from bailiwick_events import KeyRing, Refused
from decisions import Decisions

FOLDER = Path(__file__).parents[3] / "test/vectors/signed-events"


class Vectors(unittest.TestCase):
    def setUp(self):
        self.keys = KeyRing((FOLDER / "trust.json").read_bytes())

    def read(self, vector: dict, keys: KeyRing):
        """The topic's reading of the vector: None, or why not."""
        data = vector["event"].encode()
        try:
            if vector["topic"] == "registry.v1":
                return keys.read_registry(vector["key"], data)
            keys.verify(vector["topic"], vector["key"], data)
        except Refused as refused:
            return refused.code

    def test_each_event_is_its_producers_word_or_nobodys(self):
        decisions = Decisions()
        vectors = json.loads((FOLDER / "events.json").read_text())
        self.assertGreater(len(vectors), 40)
        for vector in vectors:
            with self.subTest(vector["desc"]):
                self.assertEqual(self.read(vector, self.keys), vector["wantErr"])
                if "want" in vector:
                    data = vector["event"].encode()
                    event = self.keys.verify(vector["topic"], vector["key"], data)
                    self.assertEqual(decisions.line(event, data), vector["want"])

    def test_any_single_changed_byte_is_noticed(self):
        vectors = json.loads((FOLDER / "events.json").read_text())
        for vector in vectors:
            self.read(vector, self.keys) if vector["topic"] == "registry.v1" else None
        vector = next(v for v in vectors if v["desc"] == "a DENY")
        data = vector["event"].encode()
        for at in range(len(data)):
            changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            with self.assertRaises(Refused, msg=f"byte {at}"):
                self.keys.verify("decisions.v1", vector["key"], changed)

    def test_without_the_registry_nothing_is_believed(self):
        vector = next(v for v in json.loads((FOLDER / "events.json").read_text()) if v.get("want"))
        self.assertEqual(self.read(vector, self.keys), "key_unknown")

    def test_under_another_anchor_nothing_is_believed(self):
        trust = json.loads((FOLDER / "trust.json").read_text())
        trust["root"] = trust["invitation"]
        keys = KeyRing(json.dumps(trust).encode())
        for vector in json.loads((FOLDER / "events.json").read_text()):
            self.assertIsNotNone(self.read(vector, keys), vector["desc"])

    def test_what_is_signed_but_of_no_form_stops_nobody(self):
        event = {"type": "decision.denied", "time": "t", "partitionkey": "p", "id": "evt_00000001", "data": {"action": 5}}
        with self.assertRaises(Refused):
            Decisions().line(event, b"")


if __name__ == "__main__":
    unittest.main()
