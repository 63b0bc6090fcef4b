"""What a bundle proves, against test/vectors: python3 -m unittest"""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "consumers/python"))

from bailiwick_events import Refused
from bundle import read_bundle
from signatures import Fault
from verify_bundle import verify

FOLDER = Path(__file__).parents[3] / "test/vectors/bundles"
KEYS = json.loads((FOLDER / "keys.json").read_text())
GOOD = (FOLDER / "good.json").read_text()


def judge(text: str) -> None:
    verify(read_bundle(text.encode(), KEYS["vkey"]), KEYS["root"])


class Bundles(unittest.TestCase):
    def test_the_bundle_is_proved(self):
        judge(GOOD)

    def test_no_changed_one_is_proved(self):
        for change in json.loads((FOLDER / "changes.json").read_text()):
            with self.subTest(change["desc"]):
                bundle = json.loads(GOOD)
                *path, name = change["path"]
                at = bundle
                for step in path:
                    at = at[step]
                if "value" in change:
                    at[name] = change["value"]
                else:
                    del at[name]
                with self.assertRaises((Fault, Refused, AttributeError, IndexError, KeyError, TypeError, ValueError)):
                    judge(json.dumps(bundle))


if __name__ == "__main__":
    unittest.main()
