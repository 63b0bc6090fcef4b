"""How an action is named, against test/vectors: python3 -m unittest"""

import base64
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "consumers/python"))

from jcs import double, jcs, sha256
from revealed import ARGUMENTS, CALL, contradicts, read_action

FOLDER = Path(__file__).parents[3] / "test/vectors"


class Actions(unittest.TestCase):
    def test_each_action_has_the_name_of_its_vector(self):
        tried = 0
        for vector in json.loads((FOLDER / "action-digest.json").read_text()):
            if "wantErr" in vector:
                continue
            with self.subTest(vector["desc"]):
                tried += 1
                action = {"name": vector["name"], "properties": json.loads(vector["properties_json"])}
                text = jcs({"action": action, "resource": vector["resource"]}, double)
                self.assertEqual(text, vector["text"])
                self.assertEqual(sha256(text.encode()), vector["action_digest"])
                self.assertEqual(read_action(text), json.loads(text))
        self.assertGreater(tried, 12)

    def test_a_text_of_another_action_contradicts_its_entry(self):
        resource = {"id": "erp/pay", "type": "tool"}
        text = jcs({"action": {"name": "tools/call", "properties": {"amount": 12.5, "invoice": "INV-1"}}, "resource": resource}, double)
        told = {"name": "tools/call", "resource": resource, "arguments": {"/amount": 12.5}}
        digest = sha256(text.encode())
        for path, said in [
            (CALL, {"action": told}),
            (ARGUMENTS, {"action_digest": digest}),
            (ARGUMENTS, {"action": {**told, "action_digest": digest}}),
            (("purpose",), {}),
        ]:
            self.assertFalse(contradicts(path, text, said))
        for path, said in [
            (CALL, {}),
            (CALL, {"action": {**told, "name": "tools/take"}}),
            (CALL, {"action": {**told, "resource": {**resource, "id": "erp/take"}}}),
            (CALL, {"action": {**told, "arguments": {"/amount": 12}}}),
            (CALL, {"action": {**told, "arguments": {"/other": None}}}),
            (ARGUMENTS, {"action_digest": sha256(b"another")}),
            (ARGUMENTS, {"action": {**told, "action_digest": sha256(b"another")}}),
            (ARGUMENTS, {}),
        ]:
            self.assertTrue(contradicts(path, text, said))
        for other in ("INV-40", text + " ", text.replace("12.5", "12.50"), text[:-1] + ',"x":1}', "[]", "\ud800"):
            self.assertTrue(contradicts(CALL, other, {"action": told}))

    def test_each_text_has_the_salted_hash_of_its_vector(self):
        for vector in json.loads((FOLDER / "salted-hash.json").read_text()):
            if "wantErr" not in vector:
                with self.subTest(vector["desc"]):
                    salt = base64.urlsafe_b64decode(vector["salt"] + "==")
                    self.assertEqual(sha256(salt + vector["text"].encode()), vector["salted_sha256"])


if __name__ == "__main__":
    unittest.main()
