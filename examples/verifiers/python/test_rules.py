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


EMERGENCY = {"id": "glass", "order": 0, "match": {}, "emergency": {}}


def rule_for(permissions: list, attestor: str = "registered_key", **more) -> str:
    authority = {"permissions": permissions, **more}
    agent = {"labels": [], "attestor": {"kind": attestor}}
    rules = {"strict": STRICT, "lax": LAX, "glass": EMERGENCY}
    return first_rule(rules, agent, "spiffe://d/agent/a/1", authority, {})["id"]


class Demands(unittest.TestCase):
    def test_a_rule_may_want_closed_permissions_and_listed_delegates(self):
        self.assertEqual(rule_for([CLOSED]), "strict")
        self.assertEqual(rule_for([CLOSED], **DELEGABLE, delegates=[]), "strict")
        for permissions, more in [([OPEN], {}), ([CLOSED, OPEN], {}), ([CLOSED], DELEGABLE)]:
            with self.subTest(permissions=permissions, more=more), self.assertRaises(Fault):
                rule_for(permissions, **more)

    def test_a_rule_for_emergencies_is_for_emergency_identities_alone(self):
        self.assertEqual(rule_for([CLOSED]), "strict")
        self.assertEqual(rule_for([OPEN], "emergency"), "glass")


if __name__ == "__main__":
    unittest.main()
