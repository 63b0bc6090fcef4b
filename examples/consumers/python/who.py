"""Who let this happen? Folds what evidence.v1 says of actions (OCSF class 6003) into one line an action."""

from bailiwick_events import Refused
from decisions import printable


class Actions:
    """Each decision once, with what became of it. After a crash evidence repeats events under the same ids."""

    def __init__(self):
        self._seen: set[str] = set()
        self._actions: dict[str, dict] = {}
        self._outcomes: dict[str, str] = {}

    def fold(self, event: dict) -> None:
        """Takes one verified event of evidence.v1."""
        if event["id"] in self._seen:
            return
        self._seen.add(event["id"])
        try:
            said = event["data"]
            ours = said["bailiwick"]
            decision = ours.get("decision_id")
            if decision is None:
                return
            if "outcome" in ours:
                self._outcomes[decision] = ours["outcome"]
            elif ours.get("decision") in ("ALLOW", "DENY"):
                self._actions[decision] = said
            elif ours.get("decision") == "ABANDONED":
                self._outcomes[decision] = "abandoned"
        except (AttributeError, KeyError, TypeError):
            # Signed, and still not of docs/reference/events: an evidence service that was taken over must not stop its readers.
            raise Refused("event_malformed") from None

    def lines(self, about: str | None = None) -> list[str]:
        """A line for each action that has to do with this id, in the order of the log; for each there is without one."""
        actions = sorted(self._actions.values(), key=lambda said: said["metadata"]["sequence"])
        return [self._line(said) for said in actions if about is None or about in names_of(said)]

    def _line(self, said: dict) -> str:
        ours = said["bailiwick"]
        resource = said.get("resources", [{}])[0]
        chain = [step["agent"] for step in ours.get("lineage", [])]
        fields = [
            str(said["time"]),
            ours["decision"],
            ours["reason"],
            self._outcomes.get(ours["decision_id"], "-"),
            ours.get("agent", "-"),
            said["api"]["operation"],
            f"{resource['type']}:{resource['uid']}" if resource else "-",
            ",".join([*ours.get("approvers", []), *(f"{name} (step-up)" for name in step_up(ours))]) or "-",
            ours.get("owner", "-"),
            ours.get("task", "-"),
            ours.get("request_id", "-"),
            " > ".join(chain) or "-",
            ours["decision_id"],
            f"leaf {ours['log']['index']}",
        ]
        return "\t".join(printable(field) for field in fields)


def step_up(ours: dict) -> list[str]:
    """Those who said yes to this one action besides, and whose signatures hold."""
    return ours.get("step_up", {}).get("approvers", [])


def names_of(said: dict) -> set[str]:
    """Every name and id by which you can ask about an action."""
    ours = said["bailiwick"]
    ids = ("decision_id", "grant_id", "request_id", "credential_id", "agent", "task", "owner", "enforcement_point")
    return {
        *(ours[name] for name in ids if name in ours),
        *ours.get("approvers", []),
        *step_up(ours),
        *(step["agent"] for step in ours.get("lineage", [])),
        *(resource["uid"] for resource in said.get("resources", [])),
        said["api"]["request"]["uid"],
        said.get("ai_agent", {}).get("uid", ""),
        said["metadata"]["original_event_uid"],
    } - {""}
