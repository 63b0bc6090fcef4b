"""Whether a permission holds an action, against test/vectors: python3 -m unittest"""

import json
import unittest
from pathlib import Path

from authority import covers

VECTORS = Path(__file__).parents[3] / "test/vectors/authority/covers.json"


class Coverage(unittest.TestCase):
    def test_each_action_is_covered_or_not_as_its_vector_says(self):
        for vector in json.loads(VECTORS.read_text()):
            with self.subTest(vector["desc"]):
                action, arguments = vector["action"], json.loads(vector["properties_json"])
                reason = covers(vector["authority"], action["name"], action["resource"], arguments)
                self.assertEqual(reason, vector.get("wantErr"))


if __name__ == "__main__":
    unittest.main()
