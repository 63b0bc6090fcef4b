"""How an action is named, against test/vectors: python3 -m unittest"""

import base64
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "consumers/python"))

from jcs import jcs, sha256

FOLDER = Path(__file__).parents[3] / "test/vectors"


def has_fraction(text: str) -> bool:
    """Statements have none, and this JCS refuses them: what a double makes of a number is not for it to say."""
    found = []
    json.loads(text, parse_float=found.append, parse_int=lambda digits: len(digits) > 15 and found.append(digits))
    return found != []


class Actions(unittest.TestCase):
    def test_each_action_has_the_name_of_its_vector(self):
        tried = 0
        for vector in json.loads((FOLDER / "action-digest.json").read_text()):
            if "wantErr" in vector or has_fraction(vector["properties_json"]):
                continue
            with self.subTest(vector["desc"]):
                tried += 1
                action = {"name": vector["name"], "properties": json.loads(vector["properties_json"])}
                text = jcs({"action": action, "resource": vector["resource"]})
                self.assertEqual(text, vector["text"])
                self.assertEqual(sha256(text.encode()), vector["action_digest"])
        self.assertGreater(tried, 12)

    def test_each_text_has_the_salted_hash_of_its_vector(self):
        for vector in json.loads((FOLDER / "salted-hash.json").read_text()):
            if "wantErr" not in vector:
                with self.subTest(vector["desc"]):
                    salt = base64.urlsafe_b64decode(vector["salt"] + "==")
                    self.assertEqual(sha256(salt + vector["text"].encode()), vector["salted_sha256"])


if __name__ == "__main__":
    unittest.main()
