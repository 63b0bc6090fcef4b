"""The fold of evidence.v1. No broker: python3 -m unittest"""

import unittest

from bailiwick_events import Refused
from who import Actions

AGENT = "spiffe://example.org/agent/reconciler/one"


def told(n: int, **ours) -> dict:
    return {
        "id": f"evt_{n}",
        "data": {
            "time": 1782896640000 + n,
            "ai_agent": {"uid": "spiffe://example.org/agent/reconciler"},
            "api": {"operation": "tools/call", "request": {"uid": "call-0000000000000001"}},
            "resources": [{"uid": "adjustments.post", "type": "tool"}],
            "metadata": {"sequence": n, "original_event_uid": f"evt_of_leaf_{n}"},
            "bailiwick": {"log": {"index": n}, "decision_id": "dec_1", "agent": AGENT, **ours},
        },
    }


class Who(unittest.TestCase):
    def setUp(self):
        self.actions = Actions()
        lineage = [{"agent": AGENT, "grant_id": "grt_1"}]
        more = {"approvers": ["fiona", "frank"], "owner": "olga", "task": "q3", "request_id": "req_1", "lineage": lineage}
        self.allowed = told(7, decision="ALLOW", reason="allowed", grant_id="grt_1", **more)

    def test_one_line_an_action_with_what_became_of_it(self):
        self.actions.fold(self.allowed)
        self.actions.fold(told(8, outcome="succeeded", grant_id="grt_1"))
        self.assertEqual(
            self.actions.lines("dec_1"),
            ["\t".join([
                "1782896640007", "ALLOW", "allowed", "succeeded", AGENT, "tools/call", "tool:adjustments.post",
                "fiona,frank", "olga", "q3", "req_1", AGENT, "dec_1", "leaf 7",
            ])],
        )  # fmt: skip

    def test_who_said_yes_to_this_one_action_is_named_beside_who_approved_the_task(self):
        yes = {"request_id": "req_2", "approvers": ["anna"]}
        self.actions.fold(told(9, decision="ALLOW", reason="allowed", approvers=["fiona"], step_up=yes))
        (line,) = self.actions.lines("anna")
        self.assertEqual(line.split("\t")[7], "fiona,anna (step-up)")

    def test_what_is_told_twice_is_one_action(self):
        for _ in range(3):
            self.actions.fold(self.allowed)
        self.assertEqual(len(self.actions.lines()), 1)

    def test_it_is_found_by_every_name_and_by_no_other(self):
        self.actions.fold(self.allowed)
        for name in ("dec_1", "grt_1", "req_1", "q3", AGENT, "fiona", "olga", "adjustments.post", "evt_of_leaf_7"):
            self.assertEqual(len(self.actions.lines(name)), 1, name)
        self.assertEqual(self.actions.lines("grt_2"), [])

    def test_names_forge_no_line(self):
        self.actions.fold(told(9, decision="DENY", reason="no", task="a\n1\tALLOW\x1b[2J"))
        (line,) = self.actions.lines()
        self.assertEqual(len(line.splitlines()), 1)
        self.assertEqual(line.count("\t"), 13)

    def test_what_is_signed_and_makes_no_sense_is_refused(self):
        for data in ({}, {"bailiwick": []}, {"bailiwick": None}):
            with self.assertRaises(Refused):
                self.actions.fold({"id": f"evt_x{data}", "data": data})


if __name__ == "__main__":
    unittest.main()
