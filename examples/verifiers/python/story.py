"""The story of one action, from a bundle's entries: every signature again, and what each step may do by the one before."""

from approvals import Approvals, Request
from authority import covers
from bailiwick_events import KeyRing, base64url, json_object, strict_json, thumbprint
from bundle import Bundle, Leaf
from jcs import jcs_hash, sha256
from registry import LEEWAY, Registry, ms
from signatures import Fault, claims

TOPICS = ("approvals.v1", "grants.v1", "decisions.v1")
# Each may rest on those before it; within a kind the log's order holds.
ORDER = ("request.", "grant.created", "grant.rebound", "delegation.", "credential.", "decision.", "outcome.")
COMMITMENTS = (("purpose",), ("reason",), ("arguments",), ("action", "call"))


class OneStory(Approvals):
    """Approvals of some requests only: others of the topic, endorsements among them, are not in a bundle."""

    def _fold(self, request: Request, event: dict) -> bool:
        if event["data"]["request_id"] != event["partitionkey"]:
            raise Fault("it is filed under another request")
        if event["type"] == "request.received":
            request.received = event["data"]
        return True

    def _once(self, request: Request, said: dict, assertions: list) -> None:
        self.granted["grt_" + said["statement_hash"]] = {"statement": said["statement"], "assertions": assertions}


class Story:
    def __init__(self, bundle: Bundle, trust: bytes):
        self.keys, self.registry = KeyRing(trust), Registry(bundle.trust)
        self.approvals = OneStory(self.registry)
        self.lines: list[tuple[str, str, str, int]] = []  # time, what, by whom, entry
        self.named: set[str] = set()
        self.commitments: dict[str, list[tuple[tuple[str, ...], Leaf]]] = {}  # by salted hash: where in which entry
        self._grants: dict[str, dict] = {}
        self._moves: dict[str, list[tuple[int, dict]]] = {}
        self._delegations: dict[str, dict] = {}
        self._intents: dict[str, dict] = {}
        self._allows: dict[str, dict] = {}

    def read(self, leaves: list[Leaf]) -> None:
        """Raises Fault, with the entry, for the first that does not hold."""
        by_index = sorted(leaves, key=lambda leaf: leaf.index)
        for leaf in by_index:
            if topic_of(leaf) == "registry.v1":
                at_entry(leaf, lambda: self.registry.read(self.keys, leaf.event["partitionkey"], leaf.entry, leaf.event))
        if not self.registry.whole():
            raise Fault("trust.json signs a genesis that is not whole here: a rule of the beginning may be missing")
        for leaf in sorted((each for each in by_index if topic_of(each) != "registry.v1"), key=place):
            at_entry(leaf, lambda: self._step(leaf))

    def _step(self, leaf: Leaf) -> None:
        topic = topic_of(leaf)
        if topic not in TOPICS:
            raise Fault(f"an entry of {topic} is no part of a story")
        event = self.keys.verify(topic, leaf.event["partitionkey"], leaf.entry)
        said, at = event["data"], ms(event["time"])
        judge = {
            "grant.created": self._grant,
            "grant.rebound": self._move,
            "delegation.redeemed": self._passed_on,
            "credential.intended": self._intent,
            "decision.allowed": self._allowed,
            "outcome.reported": self._outcome,
        }.get(event["type"])
        who = judge(event, said, at) if judge else ""
        if event["type"].startswith("request."):
            who = self._request(event)
        self.lines.append((event["time"], event["type"], who, leaf.index))
        self.named |= set(texts_in(said))
        for path in COMMITMENTS:
            if (hash_ := committed(said, path)) is not None:
                self.commitments.setdefault(hash_, []).append((path, leaf))

    def _request(self, event: dict) -> str:
        line = self.approvals.read(event)
        if line is not None and line.verdict != "OK":
            raise Fault(line.detail)
        if event["type"] == "request.received":
            return event["data"].get("agent", "")
        return "" if line is None else line.people

    def _grant(self, event: dict, said: dict, at: int) -> str:
        self.approvals.check_grant(event)
        self._grants[said["grant"]["id"]] = said["grant"]
        return ""

    def _move(self, event: dict, said: dict, at: int) -> str:
        moved = said["grant"]
        made = self._grant_named(moved["id"])
        same = {**made, "agent": moved["agent"], "instance_key": moved["instance_key"]}
        if jcs_hash(same) != jcs_hash(moved) or made["statement"]["rebind"] != "attested":
            raise Fault("the grant moved further than its approvers signed")
        if moved["agent"].rpartition("/")[0] != made["agent"].rpartition("/")[0]:
            raise Fault("the grant moved to another agent")
        self._moves.setdefault(moved["id"], []).append((at, moved))
        return moved["agent"]

    def _grant_named(self, id_: str) -> dict:
        if id_ not in self._grants:
            raise Fault("the grant that it is under is not in the bundle")
        return self._grants[id_]

    def _holdings(self, grant: dict, at: int) -> list[tuple[str, str]]:
        """By whom, and with which key, the grant may have been held then."""
        moves = sorted(self._moves.get(grant["id"], []), key=lambda each: each[0])
        held = [(0, grant), *moves]
        ends = [*(begin for begin, _ in moves), float("inf")]
        return [
            (each["agent"], each["instance_key"])
            for (begin, each), end in zip(held, ends, strict=True)
            if begin - LEEWAY <= at and at - LEEWAY < end
        ]

    def _chain(self, grant: dict, id_: str | None, at: int) -> list[dict]:
        """Every holder from the agent of the grant to this delegation's, each link signed by the key of the one before."""
        links = []
        while id_ is not None:
            link = self._delegations.get(id_)
            if link is None or link["grant_id"] != grant["id"] or len(links) > 8:
                raise Fault("a link of the chain is not in the bundle")
            links.insert(0, link)
            id_ = link.get("parent")
        until, hash_ = ms(grant["not_after"]), grant["statement_hash"]
        for agent, key in self._holdings(grant, at):
            holders = [{"agent": agent, "jkt": key, "authority": grant["authority"], "until": until, "hash": hash_}]
            try:
                for link in links:
                    holders.append(self._link(grant, link, holders[-1]))
                return holders
            except Fault as fault:
                wrong = fault
        raise wrong if self._holdings(grant, at) else Fault("no agent held the grant then")

    def _link(self, grant: dict, link: dict, maker: dict) -> dict:
        text = link["delegation"]
        signed_part = text.rpartition(".")[0]
        header = json_object(base64url(text.split(".")[0].encode())) or {}
        jwk = header.get("jwk", {})
        key = thumbprint(jwk) if jwk.get("kty") == "EC" else jcs_hash({name: jwk.get(name) for name in ("crv", "kty", "x")})
        if key != maker["jkt"]:
            raise Fault("the delegation is not signed by the key of its maker")
        said = claims(text, jwk, "bailiwick-delegation+jwt")
        wanted = {
            "iss": maker["agent"], "aud": self.registry.trust["installation"], "grant": grant["id"],
            "as_of": grant["as_of"], "parent_hash": maker["hash"], "sub": link["agent"],
        }  # fmt: skip
        if any(said.get(name) != value for name, value in wanted.items()):
            raise Fault("the delegation is of another maker, grant or place")
        if link["delegation_id"] != "dlg_" + sha256(signed_part.encode()) or said["cnf"]["jkt"] != link["instance_key"]:
            raise Fault("the delegation is not the one that was redeemed")
        if said["exp"] * 1000 > maker["until"]:
            raise Fault("the delegation outlives what it is a part of")
        authority = {"budget": {}, **said["authorization_details"][0]}
        return {
            "agent": said["sub"], "jkt": said["cnf"]["jkt"], "authority": authority, "until": said["exp"] * 1000,
            "hash": sha256(signed_part.encode()),
        }  # fmt: skip

    def _passed_on(self, event: dict, said: dict, at: int) -> str:
        self._delegations[said["delegation_id"]] = said
        chain = self._chain(self._grant_named(said["grant_id"]), said["delegation_id"], at)
        return chain[-2]["agent"]

    def _intent(self, event: dict, said: dict, at: int) -> str:
        holder = self._chain(self._grant_named(said["grant_id"]), said.get("delegation_id"), at)[-1]
        if (said["agent"], said["jkt"]) != (holder["agent"], holder["jkt"]) or ms(said["expires_at"]) > holder["until"]:
            raise Fault("a credential for another agent, or for longer, than was granted")
        self._intents[said["credential_id"]] = said
        return said["agent"]

    def _allowed(self, event: dict, said: dict, at: int) -> str:
        actor, action = said["actor"], said["action"]
        grant, intent = self._grant_named(actor["grant_id"]), self._intents.get(actor["credential_id"])
        if intent is None or intent["grant_id"] != grant["id"]:
            raise Fault("the issuer never recorded its credential")
        if not ms(grant["not_before"]) - LEEWAY <= at < min(ms(grant["not_after"]), ms(intent["expires_at"])) + LEEWAY:
            raise Fault("the grant or the credential was over, or had not begun")
        chain = self._chain(grant, intent.get("delegation_id"), at)
        last = chain[-1]["agent"] if len(chain) > 1 else None
        if (actor["agent"], actor.get("sub_agent"), actor.get("delegation_id")) != (
            chain[0]["agent"], last, intent.get("delegation_id"),
        ) or actor["request_id"] != grant["request_id"]:  # fmt: skip
            raise Fault("it names other agents than those that held the grant")
        arguments = document(action.get("arguments", {}))
        for holder in chain:
            reason = covers(holder["authority"], action["name"], action["resource"], arguments)
            if reason is not None:
                raise Fault(f"{holder['agent']} was not granted it: {reason}")
        name = action.get("action_digest") or action["call"]["salted_sha256"]
        if grant["mode"] == "per_action" and grant["statement"]["action_digest"] != name:
            raise Fault("another action than was approved")
        if "step_up" in said:
            self._said_yes(said["step_up"], grant, name, at)
        self._allows[said["decision_id"]] = {"name": name, "point": said["enforcement_point"]}
        return actor.get("sub_agent", actor["agent"])

    def _said_yes(self, request_id: str, grant: dict, digest: str, at: int) -> None:
        yes = [each["statement"] for each in self.approvals.granted.values()]
        if not any(
            each["kind"] == "step_up"
            and (each["request_id"], each["grant_id"], each["action_digest"]) == (request_id, grant["id"], digest)
            and at - LEEWAY < ms(each["not_after"])
            for each in yes
        ):
            raise Fault("no step-up approved this action")

    def _outcome(self, event: dict, said: dict, at: int) -> str:
        allow = self._allows.get(said["decision_id"])
        points = [self.registry.at("enforcement-point", at + shift) for shift in (0, -LEEWAY, LEEWAY)]
        keys = [each[said["enforcement_point"]]["outcome_jwk"] for each in points if said["enforcement_point"] in each]
        for jwk in keys:
            try:
                reported = claims(said["outcome"], jwk, "bailiwick-outcome+jws")
                break
            except Fault as fault:
                wrong = fault
        else:
            raise wrong if keys else Fault("the enforcement point was not registered then")
        same = ("decision_id", "enforcement_point", "sequence", "status")
        if allow is None or any(reported[name] != said[name] for name in same) or reported["action_digest"] != allow["name"]:
            raise Fault("the outcome is of another decision than the one here")
        if reported["installation"] != self.registry.trust["installation"]:
            raise Fault("the outcome is of another installation")
        return said["enforcement_point"]


def topic_of(leaf: Leaf) -> str:
    return str(leaf.event.get("dataschema", "")).removeprefix("urn:bailiwick:schema:").rpartition(":")[0]


def place(leaf: Leaf) -> tuple:
    """A yes to one more action is judged by the rule of its grant, so after every other request."""
    type_, said = str(leaf.event["type"]), leaf.event["data"]
    is_step_up = said.get("kind") == "step_up" or said.get("statement", {}).get("kind") == "step_up"
    rank = next((n for n, prefix in enumerate(ORDER) if type_.startswith(prefix)), len(ORDER))
    return (rank, is_step_up, leaf.index)


def at_entry(leaf: Leaf, check) -> None:
    try:
        check()
    except Fault as fault:
        raise Fault(f"entry {leaf.index}: {fault}") from None


def document(arguments: dict) -> dict:
    """A document that has these values at these JSON pointers."""
    root: dict = {}
    for pointer, value in arguments.items():
        *path, last = [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]
        at = root
        for token in path:
            inner = at.get(token)
            at[token] = inner if isinstance(inner, dict) else {}
            at = at[token]
        at[last] = value
    return root


def committed(said: dict, path: tuple[str, ...]) -> str | None:
    at: object = said
    for name in path:
        at = at.get(name) if isinstance(at, dict) else None
    return at.get("salted_sha256") if isinstance(at, dict) else None


def texts_in(value: object):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_in(inner)
