"""What a rule wants of an authority: python3 -m unittest"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "consumers/python"))

from rules import first_rule
from signatures import Fault

STRICT = {"id": "strict", "order": 1, "match": {}, "closed_permissions": True, "listed_delegates": True}
LAX = {"id": "lax", "order": 2, "match": {}}
OPEN = {"actions": ["tools/call"], "resource": {"type": "tool", "id": "t"}}
CLOSED = {**OPEN, "arguments": "closed"}
DELEGABLE = {"max_depth": 1, "max_children": 1}


def rule_for(permissions: list, **more) -> str:
    authority = {"permissions": permissions, **more}
    return first_rule({"strict": STRICT, "lax": LAX}, {"labels": []}, "spiffe://d/agent/a/1", authority, {})["id"]


class Demands(unittest.TestCase):
    def test_a_rule_may_want_closed_permissions_and_listed_delegates(self):
        self.assertEqual(rule_for([CLOSED]), "strict")
        self.assertEqual(rule_for([CLOSED], **DELEGABLE, delegates=[]), "strict")
        for permissions, more in [([OPEN], {}), ([CLOSED, OPEN], {}), ([CLOSED], DELEGABLE)]:
            with self.subTest(permissions=permissions, more=more), self.assertRaises(Fault):
                rule_for(permissions, **more)


if __name__ == "__main__":
    unittest.main()
