"""The vectors that every implementation of Bailiwick passes (test/vectors)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bailiwick import Action, BailiwickError, Resource, parse_trust
from bailiwick._arguments import arguments_of
from bailiwick._json import parse_json, salted_hash


def read(root: Path, name: str) -> Any:
    return json.loads((root / "test/vectors" / name).read_text())


def test_every_action_has_the_name_of_its_vector(root: Path) -> None:
    vectors = read(root, "action-digest.json")
    for vector in vectors:
        resource = Resource(vector["resource"]["type"], vector["resource"]["id"])
        if "wantErr" in vector:
            with pytest.raises(BailiwickError, match=vector["wantErr"]):
                arguments_of(vector["properties_json"].encode())
            with pytest.raises(BailiwickError, match=vector["wantErr"]):
                parse_json(vector["properties_json"])
            continue
        action = Action(vector["name"], resource, parse_json(vector["properties_json"]))
        assert (action.text, action.digest) == (vector["text"], vector["action_digest"]), vector["desc"]
    assert len(vectors) > 12


def test_every_text_has_the_salted_hash_of_its_vector(root: Path) -> None:
    for vector in read(root, "salted-hash.json"):
        assert salted_hash(vector["salt"], vector["text"]) == vector.get("salted_sha256"), vector["desc"]


def test_only_a_trust_anchor_that_its_root_key_signed_is_believed(root: Path) -> None:
    data = (root / "test/vectors/signed-events/trust.json").read_bytes()
    assert parse_trust(data).installation.startswith("ins_")
    anchor = json.loads(data)
    changes: list[dict[str, Any]] = [
        {"single_operator": not anchor["single_operator"]},
        {"public_url": "http://thief.example"},
        {"more": 1},
        {"jws": anchor["jws"][:-4] + "AAAA"},
    ]
    for change in changes:
        with pytest.raises(BailiwickError, match="trust_invalid"):
            parse_trust(json.dumps({**anchor, **change}).encode())


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '{"a":1e400}', "[NaN]", '"\\ud800"', '{"__proto__":1}', "[" * 40 + "]" * 40, "\ufeff{}", "1 2", "{'a':1}", b"\xff"],
)
def test_text_that_two_readers_could_understand_differently_is_refused(text: str | bytes) -> None:
    with pytest.raises(BailiwickError, match="json_malformed"):
        parse_json(text)


@pytest.mark.parametrize("text", ["9007199254740993", "0.10000000000000000001", "1e21", "500.00000000000000001"])
def test_a_number_that_a_double_does_not_hold_is_no_argument(text: str) -> None:
    with pytest.raises(BailiwickError, match="json_malformed"):
        parse_json(text, exact=True)
