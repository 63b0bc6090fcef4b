"""JSON Canonicalization Scheme (RFC 8785) of what statements and registry entries hold: no fractions, which all are text."""

import hashlib
import json

from bailiwick_events import Refused, to_base64url

SAFE = 2**53 - 1  # beyond it two readers would make two numbers of one text


def jcs(value) -> str:
    if isinstance(value, dict):
        # Names in the order of their UTF-16 code units, which differs from that of code points beyond U+FFFF.
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{text(name)}:{jcs(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(jcs(each) for each in value) + "]"
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and -SAFE <= value <= SAFE:
        return str(value)
    raise Refused("json_malformed")


def text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def jcs_hash(value) -> str:
    return sha256(jcs(value).encode())


def sha256(data: bytes) -> str:
    return to_base64url(hashlib.sha256(data).digest()).decode()
