"""An enforcement point without an SDK: it guards one API, asks the decision point about each call, and reports what happened.

    python point.py            reads its settings from the environment, as `bailiwick dev --env FILE` writes them

It keeps the rules of docs/how-to/own-enforcement-point.md; the numbers in the comments are theirs. It is an example: it keeps undelivered
outcomes in memory, fulfils no obligations, and serves one process.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

BASE_URL = "http://localhost:8430"
RESOURCE = {"type": "tool", "id": "invoices/read"}
PERMIT_MEMBERS = {"iss", "aud", "instance", "jti", "iat", "exp", "action_digest", "action_salt", "grant", "obligations"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(data: bytes | str) -> str:
    return b64(hashlib.sha256(data.encode() if isinstance(data, str) else data).digest())


def strict_json(data: bytes):
    """Refuses doubled keys, floats and NaN: two readers could understand them differently."""

    def pairs(items):
        if len({key for key, _ in items}) != len(items):
            raise ValueError("a key comes twice")
        return dict(items)

    def refuse(text):
        raise ValueError(f"{text}: send numbers with a fraction as text")

    return json.loads(data, object_pairs_hook=pairs, parse_float=refuse, parse_constant=refuse)


def canonical(value) -> str:
    """The JCS form (RFC 8785) of JSON without floats: keys in the order of their UTF-16 code units."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53 - 1:
        raise ValueError("a number that not every reader can hold")
    return json.dumps(value, ensure_ascii=False)


class Key:
    """A key file of `bailiwick keys point`: a private ES256 key in JWK."""

    def __init__(self, path: str):
        with open(path, encoding="utf-8") as file:
            jwk = json.load(file)["jwk"]
        self._key = ec.derive_private_key(int.from_bytes(unb64(jwk["d"])), ec.SECP256R1())
        # RFC 7638
        self.kid = sha256(json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":")))

    def sign(self, typ: str, claims: dict) -> str:
        header = {"alg": "ES256", "typ": typ, "kid": self.kid}
        signed = ".".join(b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        r, s = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def verified(jws: str, typ: str, jwk: dict) -> dict:
    """The claims of a JWS by exactly this key and of exactly this kind. Raises ValueError for any other."""
    header, payload, signature = jws.split(".")
    said = strict_json(unb64(header))
    if said.get("alg") != "ES256" or said.get("typ") != typ or len(unb64(signature)) != 64:
        raise ValueError(f"not a {typ}")
    x, y = (int.from_bytes(unb64(jwk[name])) for name in ("x", "y"))
    r, s = (int.from_bytes(unb64(signature)[at : at + 32]) for at in (0, 32))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    try:
        key.verify(utils.encode_dss_signature(r, s), f"{header}.{payload}".encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise ValueError("the signature is wrong") from None
    return strict_json(unb64(payload))


class Point:
    def __init__(self, env):
        self.id = env["BAILIWICK_POINT"]
        self.pdp = env["BAILIWICK_URL"]
        with open(env["BAILIWICK_TRUST"], encoding="utf-8") as file:
            self.trust = json.load(file)
        self.caller = Key(env["BAILIWICK_POINT_CALLER_KEY"])
        self.signer = Key(env["BAILIWICK_POINT_OUTCOME_KEY"])
        self.instance = b64(secrets.token_bytes(16))  # rule 1
        self.used: dict[str, float] = {}
        self.using = threading.Lock()
        self.reporting = threading.Lock()
        self.unverified = False
        self.sequence = 0
        self.previous: str | None = None

    def send(self, path: str, body: dict | None = None):
        """The status and the JSON of an answer of the decision point."""
        headers = {"accept": "application/json"}
        if body is not None:  # rule 2
            now = int(time.time())
            claims = {"iss": self.id, "sub": self.id, "aud": self.pdp, "iat": now, "exp": now + 60}
            claims |= {"jti": b64(secrets.token_bytes(16)), "instance": self.instance}
            headers["authorization"] = "Bearer " + self.caller.sign("bailiwick-caller+jwt", claims)
            headers["content-type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.pdp + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                status, text = answer.status, answer.read(1_048_576)
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read(1_048_576)
        return status, strict_json(text) if text else None

    def decide(self, action: dict, presented: dict) -> tuple[dict | None, dict]:
        """A permit and its call, or None and why not. No answer, or one that is unclear, is a "no"."""
        if self.unverified:
            return None, {"reason": "outcomes_unverified"}
        text = canonical({"action": {"name": action["name"], "properties": action["properties"]}, "resource": RESOURCE})
        call_id = presented.pop("call_id") or "call_" + secrets.token_hex(13)
        try:
            status, answer = self.send(
                "/access/v1/evaluation",
                {
                    "subject": {"type": "agent", "id": subject_of(presented.get("credential"))},
                    "action": action,
                    "resource": RESOURCE,
                    "context": {"bailiwick": presented | {"action_digest": sha256(text), "call_id": call_id}},
                },
            )
            if status != 200 or answer["decision"] is not True:
                return None, (answer or {}).get("context") or {"reason": "pdp_unavailable"}
            permit = self.permit_of(answer["context"]["permit"], sha256(text), answer["context"]["decision_id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"refused: {error}", file=sys.stderr)
            return None, {"reason": "permit_invalid" if isinstance(error, ValueError) else "pdp_unavailable"}
        name = permit["action_digest"]  # rule 5
        if "action_salt" in permit:
            name = sha256(unb64(permit["action_salt"]) + text.encode())
        return permit, {"decision_id": permit["jti"], "call_id": call_id, "action_digest": name}

    def permit_of(self, jws: str, digest: str, decision_id: str) -> dict:
        """Rules 3 and 4."""
        kid = strict_json(unb64(jws.split(".")[0]))["kid"]
        permit = verified(jws, "bailiwick-permit+jwt", self.permit_key(kid))
        if unknown := permit.keys() - PERMIT_MEMBERS:
            raise ValueError(f"a permit with {unknown}, which this enforcement point does not understand")
        expected = {"iss": self.pdp, "aud": self.id, "instance": self.instance}
        expected |= {"action_digest": digest, "jti": decision_id}
        for name, value in expected.items():
            if permit.get(name) != value:
                raise ValueError(f"the permit is for another {name}")
        if permit.get("obligations"):
            raise ValueError("this enforcement point fulfils no obligations")
        with self.using:
            now = time.time()
            if not permit["iat"] - 1 <= now < permit["exp"] + 1 or permit["exp"] - permit["iat"] > 5:
                raise ValueError("the permit is not valid now")
            self.used = {name: until for name, until in self.used.items() if until > now}
            if decision_id in self.used:
                raise ValueError("the permit was used")
            self.used[decision_id] = now + 10
        return permit

    def permit_key(self, kid: str) -> dict:
        """A key of the decision point counts by the root's certificate alone."""
        _, keys = self.send("/access/v1/jwks")
        for each in keys["keys"]:
            if "certificate" not in each:
                continue
            said = verified(each["certificate"], "bailiwick-key+jws", self.trust["root"]["jwk"])
            now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            if (
                said["kid"] == kid
                and said["purpose"] == "permit"
                and said["installation"] == self.trust["installation"]
                and said["not_before"] <= now < said["not_after"]
            ):
                return said["jwk"]
        raise ValueError("no certified key signed the permit")

    def report(self, call: dict, status: str, http_status: int, sent: int) -> None:
        """Rule 6: numbered from 1, chained, delivered one after the other, each until it has its answer."""
        with self.reporting:
            self.sequence += 1
            outcome = {"installation": self.trust["installation"], "enforcement_point": self.id, "instance": self.instance}
            outcome |= {"sequence": self.sequence} | ({"previous": self.previous} if self.previous else {})
            at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
            outcome |= call | {"status": status, "at": at, "egress_bytes": sent, "http_status": http_status}
            jws = self.signer.sign("bailiwick-outcome+jws", outcome)
            self.previous = sha256(jws[: jws.rindex(".")])
            while True:
                try:
                    code, problem = self.send("/v1/outcomes", {"outcome": jws})
                except (OSError, ValueError):
                    code, problem = 503, None
                self.unverified = code == 401
                if code == 204:
                    return
                if code not in (401, 404, 429) and code < 500:
                    print(f"an outcome was refused: {problem}", file=sys.stderr)
                    return
                time.sleep(0.5)


def subject_of(credential: str | None) -> str:
    """What the credential claims: the decision point reads it from the credential, once that is verified."""
    try:
        return strict_json(unb64(credential.split(".")[1]))["sub"]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return "unknown"


class Handler(BaseHTTPRequestHandler):
    point: Point

    def do_POST(self):
        try:
            body = strict_json(self.rfile.read(min(int(self.headers.get("content-length") or 0), 65536)) or b"{}")
            if not isinstance(body, dict):
                raise ValueError("an object is expected")
            canonical(body).encode()  # what has no canonical form cannot be decided
        except ValueError as error:
            return self.answer(400, {"code": "request_malformed", "detail": str(error)})
        if len(self.headers.get_all("authorization") or []) > 1 or len(self.headers.get_all("dpop") or []) > 1:
            return self.answer(401, {"code": "credential_malformed"})
        call_ids = self.headers.get_all("bailiwick-call-id") or []
        if len(call_ids) > 1 or not all(re.fullmatch(r"[0-9A-Za-z_-]{16,64}", call_id) for call_id in call_ids):
            return self.answer(400, {"code": "request_malformed", "detail": "Bailiwick-Call-Id"})
        scheme, _, credential = (self.headers.get("authorization") or "").partition(" ")
        presented = {"htm": "POST", "htu": BASE_URL + self.path.split("?")[0], "call_id": (call_ids or [None])[0]}
        if scheme.lower() == "dpop":
            presented |= {"credential": credential.strip(), "proof": self.headers.get("dpop") or ""}
        permit, call = self.point.decide({"name": "tools/call", "properties": body}, presented)
        if permit is None:
            return self.refuse(call)
        # The effect is reported also if it fails, and if the agent no longer reads the answer.
        status, http_status, sent = "failed", 500, 0
        try:
            answer = {"invoice": body.get("invoice"), "total": "120.00"}  # the effect
            status, http_status = "succeeded", 200
            sent = self.answer(200, answer, {"bailiwick-decision-id": call["decision_id"]})
        finally:
            self.point.report(call, status, http_status, sent)

    def refuse(self, context: dict) -> None:
        reason = context.get("reason", "internal")
        missing = reason.startswith(("credential_", "proof_"))
        headers = {}
        if missing:
            error = 'error="use_dpop_nonce", ' if reason == "proof_nonce_required" else ""
            headers["www-authenticate"] = f'DPoP {error}algs="ES256 Ed25519 EdDSA"'
        if "dpop_nonce" in context:
            headers["dpop-nonce"] = context["dpop_nonce"]
        problem = {"type": f"urn:bailiwick:denial:{reason}", "title": "The action is denied", "code": reason}
        problem |= {name: context[name] for name in ("decision_id", "access_request", "retry_after") if name in context}
        self.answer(401 if missing else 403, problem, headers)

    def answer(self, status: int, body: dict, headers: dict | None = None) -> int:
        data = json.dumps(body).encode()
        self.send_response(status)
        kind = "application/json" if status == 200 else "application/problem+json"
        for name, value in {"content-type": kind, "content-length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        return len(data)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    Handler.point = Point(os.environ)
    server = ThreadingHTTPServer(("localhost", 8430), Handler)
    print(f"guards {RESOURCE['id']} at {BASE_URL}", flush=True)
    server.serve_forever()
