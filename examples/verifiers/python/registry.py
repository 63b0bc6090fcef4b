"""Who and what was enrolled when: registry.v1 from its first leaf, each change back to the trust anchor (DESIGN section 3)."""

from datetime import datetime

from bailiwick_events import KeyRing, Refused
from jcs import jcs, jcs_hash
from signatures import Fault, claims, signers

LEEWAY = 5_000  # ms that the clock of the service that rendered a statement may be ahead
RECOVERY_DELAY = 24 * 3600 * 1000
NOW = float("inf")


class Registry:
    def __init__(self, trust: dict):
        self.trust = trust
        self.changes = 0
        self._versions: dict[tuple[str, str], list[tuple[int, dict | None, int]]] = {}
        self._recovered: set[str] = set()
        self._first: list[dict] = []  # root-signed statements, until the genesis that trust.json signs is whole
        self._begun: str | None = None  # the statement by which people changed it last
        self._takes_two = False  # since the first change of version 2

    def read(self, keys: KeyRing, record_key: str, entry: bytes, event: dict) -> None:
        """Folds one event. Raises Refused or Fault for one without authority."""
        keys.read_registry(record_key, entry)
        said, version, at = event["data"], event.get("version"), ms(event["time"])
        entity, value = said["entity"], said.get("value")
        name = (entity["type"], entity["id"])
        versions = self._versions.setdefault(name, [])
        known_version, known = versions[-1][:2] if versions else (0, None)
        if type(version) is int and version <= known_version:
            return  # void: another writer was first
        verb = "retired" if value is None else "registered" if known is None else "changed"
        if version != known_version + 1 or event["type"] != f"{entity['type']}.{verb}":
            raise Fault(f"{event['type']}, version {version}, after version {known_version}")
        before, after = (jcs_hash(known) if known else None), said.get("hash")
        if (value is None and known is None) or after != (jcs_hash(value) if value else None):
            raise Fault("the hash is not that of the value")
        if value is not None and value["id"] != entity["id"]:
            raise Fault("the value has another id")
        change = {"type": name[0], "id": name[1], "version": version, "before": before, "after": after}
        statement = self._authorise(said["authorization"], change, value, at)
        if not self.whole():
            self._grow_genesis(statement)
        if said["authorization"]["kind"] == "approvers":
            self._begun = jcs_hash(said["authorization"]["statement"])
            self._takes_two = self._takes_two or said["authorization"]["statement"]["v"] == 2
        elif said["authorization"]["kind"] in ("invitation", "recovery"):
            self._begun = None
        versions.append((version, value, at))
        self.changes += 1

    def whole(self) -> bool:
        """Whether all of the genesis is there. A trust.json of an earlier version does not say what it is."""
        return len(self._first) >= self.trust.get("genesis", {"count": 0})["count"]

    def _grow_genesis(self, statement: dict | None) -> None:
        """The registry begins with exactly the list that trust.json signs, in its order: until then nothing else counts."""
        if statement is None:
            raise Fault("the genesis is not whole")
        signed, grown = self.trust["genesis"], [*self._first, statement]
        if len(grown) == signed["count"] and jcs_hash(grown) != signed["sha256"]:
            raise Fault("not the genesis that trust.json signs")
        self._first = grown

    def at(self, kind: str, time: float = NOW) -> dict[str, dict]:
        """Every entity of this type as it was then, by id."""
        found = {}
        for (type_, id_), versions in self._versions.items():
            then = [value for _, value, at in versions if at <= time]
            if type_ == kind and then and then[-1] is not None:
                found[id_] = then[-1]
        return found

    def _authorise(self, by: dict, change: dict, value: dict | None, at: int) -> dict | None:
        if change["type"] == "approver":
            self._somebody_is_left(change["id"], value)
        if change["type"] == "recovery" and value is not None and change["version"] != 1:
            raise Fault("a recovery is registered once")
        enrolled = any(kind == "approver" and versions for (kind, _), versions in self._versions.items())
        if by["kind"] == "root":
            return self._by_root(by["jws"], change, enrolled)
        elif by["kind"] == "invitation":
            if change["type"] != "approver" or change["version"] != 1 or enrolled:
                raise Fault("the invitation makes the first approver, once")
            self._person_signed(self.trust["invitation"]["jwk"], by["jws"], value)
        elif by["kind"] == "recovery":
            self._by_recovery(by, change, value, at)
        elif by["kind"] == "approvers":
            self._by_approvers(by, change, value, at)
        else:
            raise Fault("an authorization of no known kind")
        return None

    def _by_root(self, jws: str, change: dict, enrolled: bool) -> dict:
        said = claims(jws, self.trust["root"]["jwk"], "bailiwick-genesis+jws")
        names = {
            "installation": self.trust["installation"],
            "entity_type": change["type"],
            "entity_id": change["id"],
            "version": change["version"],
            "after": change["after"],
        }
        if said != names:
            raise Fault("the root signed another change")
        # Service keys rotate, and passkeys may all be lost, at any time; all else is genesis, before anybody is enrolled.
        if change["type"] == "approver" or (
            change["type"] not in ("service-key", "recovery") and (enrolled or change["version"] != 1)
        ):
            raise Fault("the root may not change this any more")
        return said

    def _by_recovery(self, by: dict, change: dict, value: dict | None, at: int) -> None:
        """The holder of the recovery's key enrols the one person that it names, once, a day after it was announced."""
        recovery = self.at("recovery").get(by["recovery"])
        announced = self._versions.get(("recovery", by["recovery"]))
        if recovery is None or announced is None or value is None or change["type"] != "approver":
            raise Fault("there is no such recovery")
        if at < announced[0][2] + RECOVERY_DELAY or by["recovery"] in self._recovered:
            raise Fault("the recovery is not a day old, or was used")
        named = (recovery["approver_id"], recovery["name"], recovery["groups"])
        if named != (value["id"], value["name"], value["groups"]):
            raise Fault("the recovery is for another person")
        self._person_signed(recovery["jwk"], by["jws"], value)
        self._recovered.add(by["recovery"])

    def _person_signed(self, jwk: dict, jws: str, value: dict) -> None:
        if len(value["credentials"]) != 1:
            raise Fault("an invitation is for exactly one passkey")
        passkey = value["credentials"][0]
        invited = {
            "installation": self.trust["installation"],
            "approver_id": value["id"],
            "name": value["name"],
            "groups": value["groups"],
            "credential_id": passkey["credential_id"],
            "public_key": passkey["public_key"],
        }
        if jcs(claims(jws, jwk, "bailiwick-invitation+jws")) != jcs(invited):
            raise Fault("the invitation is for another passkey or person")

    def _by_approvers(self, by: dict, change: dict, value: dict | None, at: int) -> None:
        statement = by["statement"]
        approvers = self.at("approver")
        if statement["kind"] != "registry" or statement["installation"] != self.trust["installation"]:
            raise Fault("a statement of another kind or installation")
        begun = jcs_hash(statement) == self._begun  # half of it is there: the rest is made whenever the issuer is back
        if ms(statement["issued_at"]) > at + LEEWAY or (at >= ms(statement["not_after"]) and not begun):
            raise Fault("the statement was not in force then")
        named = {name: value for name, value in change.items() if value is not None}
        if named not in statement["entities"]:
            raise Fault("approvers signed another change")
        if change["type"] == "recovery" and change["after"] is not None:
            raise Fault("a recovery is the root key's to make")
        people = signers(statement, by["assertions"], approvers, self.trust)
        # An installation that signs its genesis as a whole is younger than version 2.
        if statement["v"] == 1 and (self._takes_two or "genesis" in self.trust):
            raise Fault("a statement of the older version, after changes took two people")
        self.judge_change(statement, [{**change, "value": value}], people, NOW)

    def judge_change(self, statement: dict, changes: list[dict], people: dict[str, dict], time: float) -> str:
        """Enough people of the group for these changes of it: two at least, from version 2 on. Gives the quorum in words."""
        if all(entity["type"] == "recovery" and "after" not in entity for entity in statement["entities"]) and people:
            return f"{len(people)} of 1"  # anybody may object to a recovery
        rule = self.at("rule", time).get("registry")
        if rule and not all(rule["approvers"]["group"] in person["groups"] for person in people.values()):
            raise Fault("a signer is not in the group")
        alone = self._brings_second(statement["entities"], changes, time)
        single = self.trust["single_operator"]
        quorum = rule["approvers"]["quorum"] if rule and not alone else 1
        two = statement["v"] == 2 and not alone and not single
        if two or any(self._brings_passkey(change, time) for change in changes):
            quorum = max(2, quorum)
        if len(people) < quorum:
            raise Fault(f"{len(people)} of {quorum} people")
        # Before changes took two people, one was enough if another name proposed it.
        if statement["v"] == 1 and set(people) <= {statement["proposer"]} and not single and not alone:
            raise Fault("only the proposer approved it")
        return f"{len(people)} of {quorum}"

    def _brings_passkey(self, change: dict, time: float) -> bool:
        """A person who took a colleague's link could sign as two people. So with two people enrolled, a new passkey takes two."""
        enrolled, value = self.at("approver", time), change.get("value")
        if self.trust["single_operator"] or len(enrolled) < 2 or change["type"] != "approver" or value is None:
            return False
        before = enrolled.get(change["id"], {"credentials": []})["credentials"]
        known = {passkey["public_key"] for passkey in before}
        return any(passkey["public_key"] not in known for passkey in value["credentials"])

    def _brings_second(self, entities: list, changes: list[dict], time: float) -> bool:
        """The first person may bring in the second alone under any quorum, since there is no one else to ask. Nothing else is allowed."""
        enrolled, change = self.at("approver", time), entities[0]
        if len(entities) != 1 or change["type"] != "approver" or "after" not in change:
            return False
        known, value = enrolled.get(change["id"]), changes[0].get("value")
        if len(enrolled) == 1:
            return known is None
        rule = self.at("rule", time).get("registry")
        if rule is None or known is None or value is None:
            return False
        # The only one of the group that governs lets a colleague into it, who gets that group and nothing else.
        group = rule["approvers"]["group"]
        governing = [person["id"] for person in enrolled.values() if group in person["groups"]]
        then = {**value, "groups": [each for each in value["groups"] if each != group]}
        return len(governing) == 1 and known["id"] not in governing and group in value["groups"] and jcs(then) == jcs(known)

    def _somebody_is_left(self, id_: str, value: dict | None) -> None:
        """With a passkey of his own: one passkey with two names would be two people in every quorum."""
        others = [person for person in self.at("approver").values() if person["id"] != id_]
        if value is None:
            if not others:
                raise Fault("retires the last approver")
            return
        mine = {passkey[name] for passkey in value["credentials"] for name in ("public_key", "credential_id")}
        if not mine:
            raise Fault("an approver without a passkey")
        for other in others:
            if mine & {passkey[name] for passkey in other["credentials"] for name in ("public_key", "credential_id")}:
                raise Fault("a passkey of another approver")


def ms(time: str) -> int:
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except (TypeError, ValueError):
        raise Refused("event_malformed") from None
