"""What people approved: each statement of approvals.v1 as its signers, its rule and its request have it (V3, V10)."""

from dataclasses import dataclass, field

from bailiwick_events import Refused, thumbprint
from jcs import jcs_hash, sha256
from registry import LEEWAY, Registry, ms
from rules import first_rule
from signatures import Fault, claims, signers

LONGEST = 8 * 3600 * 1000
LONGEST_EMERGENCY = 15 * 60 * 1000
# How long a change of the registry may need to reach the service that took the signature, ms.
PROPAGATION = 2_000
NEXT = {
    "request.received": {"absent": "pending"},
    "request.endorsed": {"pending": "pending", "approved": "approved"},
    "request.approved": {"pending": "approved"},
    "request.denied": {"pending": "denied"},
    "request.expired": {"pending": "expired"},
    "request.cancelled": {"pending": "cancelled", "approved": "cancelled"},
    "request.withdrawn": {"pending": "withdrawn", "approved": "withdrawn"},
    "request.reviewed": {"approved": "approved", "withdrawn": "withdrawn", "cancelled": "cancelled"},
}
STATEMENT_OF = {"access": "approval", "registry": "registry", "step_up": "step_up"}


@dataclass
class Request:
    version: int = 0
    state: str = "absent"
    received: dict | None = None
    endorsed: list[tuple[str, dict]] = field(default_factory=list)


@dataclass
class Line:
    time: str
    verdict: str  # OK, BAD or VOID
    what: str
    request: str
    people: str
    detail: str


class Approvals:
    """Folds approvals.v1 in its order. Every assertion in it is judged, also one without effect."""

    def __init__(self, registry: Registry):
        self.registry = registry
        self.granted: dict[str, dict] = {}  # what was approved, by the id of the grant that it makes
        self._requests: dict[str, Request] = {}

    def read(self, event: dict) -> Line | None:
        """The line of an approval or an endorsement; None for what carries no assertion. Raises Fault for a gap."""
        kind, said = event["type"], event["data"]
        if kind not in NEXT:
            return None
        request = self._requests.setdefault(said["request_id"], Request())
        counts = self._fold(request, event)
        if kind not in ("request.approved", "request.endorsed"):
            return None
        assertions = said["assertions"] if kind == "request.approved" else [said["assertion"]]
        line = Line(event["time"], "OK", kind.split(".")[1], said["request_id"], "-", "-")
        try:
            people, line.detail = self._judge(request, said, assertions, kind, ms(event["time"]))
            line.people = ",".join(sorted(people))
            if kind == "request.approved" and counts:
                self._once(request, said, assertions)
        except (Fault, Refused) as fault:
            line.verdict, line.detail = "BAD", str(fault)
            return line
        if not counts:
            line.verdict, line.detail = "VOID", "another event had this version of the request first"
        elif kind == "request.endorsed":
            request.endorsed.append((said["statement_hash"], said["assertion"]))
        return line

    def check_grant(self, event: dict) -> None:
        """A grant is exactly what was approved, with the signatures of those who approved it."""
        grant = event["data"]["grant"]
        if grant["id"] != "grt_" + jcs_hash(grant["statement"]):
            raise Fault("its id is not that of its statement")
        approved = self.granted.get(grant["id"])
        if approved is None:
            raise Fault("it was not approved")
        if grant["assertions"] != approved["assertions"]:
            raise Fault("other assertions than were approved")
        copied = "request_id agent instance_key authority mode not_before not_after as_of".split()
        if any(grant[name] != grant["statement"][name] for name in copied):
            raise Fault("it says something else than its statement")

    def _fold(self, request: Request, event: dict) -> bool:
        version, said = event.get("version"), event["data"]
        if said["request_id"] != event["partitionkey"] or type(version) is not int:
            return False
        if version > request.version + 1:
            raise Fault(f"{said['request_id']}: version {version} where {request.version + 1} is next: one is missing")
        state = NEXT[event["type"]].get(request.state)
        if event["type"] == "request.received" and request.state == "approved" and "reopened" in said:
            state = "pending"
        if version != request.version + 1 or state is None:
            return False
        request.version, request.state = version, state
        if event["type"] == "request.received":
            request.received, request.endorsed = said, []
        return True

    def _judge(self, request: Request, said: dict, assertions: list, kind: str, at: int) -> tuple[dict, str]:
        statement = said["statement"]
        if jcs_hash(statement) != said["statement_hash"]:
            raise Fault("the hash is not that of the statement")
        if statement["installation"] != self.registry.trust["installation"]:
            raise Fault("the statement is of another installation")
        named = statement["change_id"] if statement["kind"] == "registry" else statement["request_id"]
        if request.received is None or named != said["request_id"]:
            raise Fault("the statement names another request")
        if statement["kind"] != STATEMENT_OF.get(request.received["kind"]):
            raise Fault("the statement is of another kind than the request")
        if ms(statement["issued_at"]) > at + LEEWAY or at >= ms(statement["not_after"]):
            raise Fault("the statement was not in force then")
        try:
            return self._judge_at(request.received, statement, assertions, kind, at)
        except Fault as fault:
            try:
                # The service that took the signature judged by the part of the registry that had reached it.
                return self._judge_at(request.received, statement, assertions, kind, at - PROPAGATION)
            except Fault:
                raise fault from None

    def _judge_at(self, received: dict, statement: dict, assertions: list, kind: str, at: int) -> tuple[dict, str]:
        people = signers(statement, assertions, self.registry.at("approver", at), self.registry.trust)
        if statement["kind"] == "registry":
            self._same_changes(received, statement)
            if kind == "request.endorsed":
                return people, "one of more"
            return people, self.registry.judge_change(statement, received["entities"], people, at)
        self._asked(received, statement, at)
        return people, self._by_rule(statement, people, kind, at)

    def _by_rule(self, statement: dict, people: dict, kind: str, at: int) -> str:
        """Enough distinct people of the rule's group, the owner among them only where the rule lets him."""
        granted = statement
        if statement["kind"] == "step_up":
            # By the rule that holds for the grant now, which may be another than it was.
            granted = self.granted.get(statement["grant_id"], {}).get("statement")
            if granted is None:
                raise Fault("a step-up of a grant that was not approved")
            self._effect(statement.get("effect"), granted, at)
        instance, authority = granted["agent"], granted["authority"]
        rules, servers = self.registry.at("rule", at), self.registry.at("tool-server", at)
        rule = first_rule(rules, self._agent(instance, at), instance, authority, servers)
        if statement["kind"] == "approval":
            self._fits_rule(statement, rule, at)
        one_action = statement["kind"] == "step_up" or statement["mode"] == "per_action"
        # A rule from before this member says nothing of it: an issuer of today refuses such an approval, one of then could not.
        if one_action and rule.get("arguments") == "required" and statement.get("arguments") != "shown":
            raise Fault("people signed a digest, and the rule wants them to see what it stands for")
        return self._enough(rule, people, instance, kind, at)

    @staticmethod
    def _effect(effect: dict | None, granted: dict, at: int) -> None:
        """What the yes does. A statement from before this member existed lets the one action through and nothing else."""
        if effect is None or effect == {"kind": "action"}:
            return
        if effect["kind"] != "task" or granted["mode"] != "continuous":
            raise Fault("the yes says that a task goes on which cannot lapse")
        if not at < ms(effect["until"]) <= ms(granted["not_after"]):
            raise Fault("the yes says that the task goes on beyond its end")

    def _enough(self, rule: dict, people: dict, instance: str, kind: str, at: int) -> str:
        group, quorum = rule["approvers"]["group"], rule["approvers"]["quorum"]
        if not all(group in person["groups"] for person in people.values()):
            raise Fault("a signer is not in the group")
        owner = self._agent(instance, at)["owner"]
        if "emergency" in rule and kind == "request.approved":
            quorum = max(2, quorum)
            if owner not in people:
                raise Fault("an emergency in the name of a person who did not sign it")
        owner_may = rule["owner_may_approve"] or self.registry.trust["single_operator"] or "emergency" in rule
        if owner in people and not owner_may:
            raise Fault("the agent's owner approved it")
        if kind == "request.approved" and len(people) < quorum:
            raise Fault(f"{len(people)} of {quorum} people")
        return f"{len(people)} of {quorum}"

    def _fits_rule(self, statement: dict, rule: dict, at: int) -> None:
        said, group = statement["rule"], rule["approvers"]["group"]
        members = sorted(
            [person["id"], sorted(passkey["credential_id"] for passkey in person["credentials"])]
            for person in self.registry.at("approver", at).values()
            if group in person["groups"]
        )
        expected = {"id": rule["id"], "quorum": rule["approvers"]["quorum"], "group": group, "group_hash": jcs_hash(members)}
        if said != expected:
            raise Fault("the rule or its group was another")
        begin, until = ms(statement["not_before"]), ms(statement["not_after"])
        longest = min(rule["max_window_seconds"] * 1000, LONGEST)
        if ("emergency" in rule) != (statement.get("emergency") is True):
            raise Fault("the statement and its rule differ on whether it is an emergency")
        if "emergency" in rule:
            self._fits_emergency(statement, begin, until)
        if statement["mode"] not in rule["modes"] or not begin < until or until - begin > longest:
            raise Fault("the rule does not allow this mode or so long a window")
        fresh, wanted = statement.get("continuous"), rule.get("continuous")
        if (statement["mode"] == "continuous") != (fresh is not None):
            raise Fault("what must stay fresh belongs to mode continuous, and to no other")
        if fresh and (wanted is None or any(fresh[name] > wanted[name] for name in ("reattest_seconds", "outcome_seconds"))):
            raise Fault("the rule wants more to stay fresh")
        if (statement["mode"] == "per_action") != ("action_digest" in statement):
            raise Fault("a digest belongs to mode per_action, and to no other")

    def _fits_emergency(self, statement: dict, begin: int, until: int) -> None:
        """What holds for every emergency. Whether it stays within the ceiling of its rule is not judged here."""
        if until - min(begin, ms(statement["issued_at"])) > LONGEST_EMERGENCY:
            raise Fault("an emergency of more than 15 minutes")
        if statement["mode"] != "window" or statement["rebind"] != "none" or statement["authority"].get("max_depth", 0) > 0:
            raise Fault("an emergency that is no plain window")
        if statement["agent"].rpartition("/")[2] != statement["instance_key"]:
            raise Fault("an emergency whose instance is not named by its key")
        if self.registry.trust["single_operator"]:
            raise Fault("an emergency where one person is enough for everything")

    def _asked(self, received: dict, statement: dict, at: int) -> None:
        """The agent's own signature over what it asked, and the statement about exactly that."""
        jwk = self._instance_key(received, at)
        asked = claims(received["request"], jwk, "bailiwick-request+jws")
        task = sha256(received["request"].encode())
        item = received.get("item")
        own = task if item is None else sha256(f"{received['request']}#{item['index']}".encode())
        if received["request_id"] != f"req_{own}" or received["request_hash"] != jcs_hash(asked):
            raise Fault("the request is not the one that the agent signed")
        if asked["aud"] != self.registry.trust["installation"] or asked["sub"] != received["agent"]:
            raise Fault("another agent asked, or asked another installation")
        if received.get("arguments") != asked.get("arguments") or (statement.get("arguments") == "shown") != ("arguments" in asked):
            raise Fault("people were shown other arguments than the agent handed over")
        same = ("grant_id",) if statement["kind"] == "step_up" else ("request_hash", "agent", "instance_key", "mode", "rebind")
        if any(statement[name] != received[name] for name in same):
            raise Fault("the statement is about something else than was asked")
        if statement["kind"] == "approval" and statement.get("action_digest") != received.get("action_digest"):
            raise Fault("the statement is about another action than was asked")
        if statement["kind"] == "step_up" and statement["action_digest"] != asked.get("action_digest"):
            raise Fault("the statement is about another action than was asked")

    def _instance_key(self, received: dict, at: int) -> dict:
        """The key of the instance: the registry's, or the one that the workload proved and the statement names."""
        attestor = self._agent(received["agent"], at)["attestor"]
        if attestor["kind"] != "registered_key":
            jwk = received.get("attestation", {}).get("jwk")
            public = {name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk} if jwk else {}
            if public.get("kty") == "EC" and thumbprint(public) == received["instance_key"]:
                return public
            if public.get("kty") == "OKP" and okp_thumbprint(public) == received["instance_key"]:
                return public
            raise Fault("the workload showed another key than the instance's")
        instance = received["agent"].rpartition("/")[2]
        keys = [each["jwk"] for each in attestor["keys"] if each["instance"] == instance]
        if not keys:
            raise Fault("the registry knows no such instance")
        return keys[0]

    def _agent(self, instance: str, at: int) -> dict:
        agent = self.registry.at("agent", at).get(instance.rpartition("/")[0])
        if agent is None:
            raise Fault("the agent was not registered")
        return agent

    def _same_changes(self, received: dict, statement: dict) -> None:
        asked = [{name: each[name] for name in each if name != "value"} for each in received["entities"]]
        if asked != statement["entities"] or received["proposer"] != statement["proposer"]:
            raise Fault("the statement is about other changes than were proposed")

    def _once(self, request: Request, said: dict, assertions: list) -> None:
        """One statement makes one grant, and all that signed before the last stand in the log as endorsements."""
        grant = "grt_" + said["statement_hash"]
        if grant in self.granted:
            raise Fault("this statement was approved before")
        earlier = [assertion for hash_, assertion in request.endorsed if hash_ == said["statement_hash"]]
        if any(assertion not in earlier for assertion in assertions[:-1]):
            raise Fault("an endorsement is missing")
        self.granted[grant] = {"statement": said["statement"], "assertions": assertions}


def okp_thumbprint(jwk: dict) -> str:
    """RFC 8037 section 2."""
    return jcs_hash({name: jwk[name] for name in ("crv", "kty", "x")})
