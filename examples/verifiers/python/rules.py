"""Which rule says who may approve: the first that touches any part of what is asked, and it must hold for all of it."""

import re
from decimal import Decimal

from signatures import Fault

# A URL below which "starts with" and "lies below" are the same.
NORMAL = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9_.\[\]:-]+(/[A-Za-z0-9_.~!$&'()*+,=:@-]+)*/?")
DOTS = re.compile(r"(^|/)\.+(/|$)")
UNDESCRIBED = ["unlabelled"]


def first_rule(rules: dict, agent: dict, instance: str, authority: dict, servers: dict) -> dict:
    """The first rule that matches in the registry of one time. Raises Fault where no one may approve."""
    for rule in sorted(rules.values(), key=lambda each: (each["order"], each["id"])):
        match, asked = rule["match"], authority["permissions"]
        if rule["id"] == "registry" or not _is_for(match, agent, instance):
            continue
        # The rules for emergencies hold for the emergency identities of people, and no other rule does.
        if ("emergency" in rule) != (agent["attestor"]["kind"] == "emergency"):
            continue
        if any(_fits(match, each, authority, servers, any, _overlaps) for each in asked):
            if all(_fits(match, each, authority, servers, all, _within) for each in asked):
                _demand(rule, authority)
                return rule
            raise Fault(f"rule {rule['id']} holds for a part of it only")
    raise Fault("there is no rule")


def _demand(rule: dict, authority: dict) -> None:
    """What the rule wants the authority itself to say."""
    if rule.get("closed_permissions") and any(each.get("arguments") != "closed" for each in authority["permissions"]):
        raise Fault(f"rule {rule['id']} wants closed permissions")
    delegable = authority.get("max_depth", 0) > 0 and authority.get("max_children", 0) > 0
    if rule.get("listed_delegates") and delegable and "delegates" not in authority:
        raise Fault(f"rule {rule['id']} wants delegates to be listed")


def _is_for(match: dict, agent: dict, instance: str) -> bool:
    agents, labels = match.get("agents"), match.get("agent_labels")
    named = agents is None or any(id_ == "*" or instance == id_ or instance.startswith(f"{id_}/") for id_ in agents)
    return named and (labels is None or any(label in agent["labels"] for label in labels))


def _fits(match: dict, permission: dict, authority: dict, servers: dict, some_or_all, reaches) -> bool:
    """`any` and `_overlaps`: the rule touches it. `all` and `_within`: it holds for the whole of it."""
    resource, labels = permission["resource"], match.get("labels")
    return (
        ("actions" not in match or some_or_all(action in match["actions"] for action in permission["actions"]))
        and ("resources" not in match or any(reaches(resource, scope) for scope in match["resources"]))
        and (
            labels is None
            or some_or_all(any(label in each for label in labels) for each in _labels_within(resource, servers))
        )
        and _may_cost_more(match, permission, authority, servers)
    )


def _within(resource: dict, scope: dict) -> bool:
    if resource["type"] != scope["type"]:
        return False
    if "id" in scope:
        return resource.get("id") == scope["id"]
    if "id_prefix" not in scope:
        return True
    asked = resource.get("id", resource.get("id_prefix", ""))
    return asked.startswith(scope["id_prefix"]) and bool(NORMAL.fullmatch(asked)) and not DOTS.search(asked)


def _overlaps(resource: dict, scope: dict) -> bool:
    if resource["type"] != scope["type"]:
        return False
    whole, asked = "id" in resource, resource.get("id", resource.get("id_prefix", ""))
    if "id" in scope:
        return scope["id"] == asked if whole else scope["id"].startswith(asked)
    if "id_prefix" in scope:
        return asked.startswith(scope["id_prefix"]) or (not whole and scope["id_prefix"].startswith(asked))
    return True


def _labels_within(resource: dict, servers: dict) -> list[list[str]]:
    """The labels of each tool that it may reach; below a prefix there may always be one without a description."""
    if resource["type"] != "tool":
        return [[]]
    if "id" in resource:
        tool = _described(resource["id"], servers)
        return [UNDESCRIBED if tool is None else tool["labels"]]
    described = [
        tool["labels"]
        for server in servers.values()
        for name, tool in server["tools"].items()
        if f"{server['id']}/{name}".startswith(resource["id_prefix"])
    ]
    return [*described, UNDESCRIBED]


def _described(tool: str, servers: dict) -> dict | None:
    server, slash, name = tool.partition("/")
    return servers.get(server, {}).get("tools", {}).get(name) if slash else None


def _may_cost_more(match: dict, permission: dict, authority: dict, servers: dict) -> bool:
    """An agent's word for what its cost is counts only where it is the registry's; all else is above every amount."""
    if "cost_above" not in match:
        return True
    resource = permission["resource"]
    tool = _described(resource["id"], servers) if resource["type"] == "tool" and "id" in resource else None
    if tool is None or "cost" not in tool or permission.get("cost") != tool["cost"]:
        return True
    amounts = authority["budget"].get("cost", {})
    return any(Decimal(amounts.get(currency, "0")) > Decimal(above) for currency, above in match["cost_above"].items())
