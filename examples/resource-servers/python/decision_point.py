"""Asks a decision point of Bailiwick about one action (AuthZEN Authorization API 1.0), with the caller's credential and proof.

The decision point verifies both once more, and it alone knows revocations, policies, history and budgets. It counts each proof
once for all servers that ask it. After a start it requires a nonce of its own, which its answer carries in `DPoP-Nonce`.
"""

import json
import urllib.request


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry this server's secret to another address."""

    def redirect_request(self, *_):
        return None


_open = urllib.request.build_opener(_NoRedirect).open


class DecisionPoint:
    def __init__(self, url, secret_file):
        self._url = url + "/access/v1/evaluation"
        with open(secret_file, encoding="ascii") as file:
            self._secret = file.read().strip()

    def decide(self, subject, action, resource, observed):
        """(allowed, reason, nonce): `nonce` is not None when the next proof needs it. An answer that is not a clear yes counts as no."""
        body = {
            "subject": {"type": "agent", "id": subject},
            "action": {"name": action},
            "resource": resource,
            "context": {"bailiwick": observed, "supported_obligations": []},
        }
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._secret}"}
        asked = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        try:
            with _open(asked, timeout=5) as answer:
                said, nonce = json.loads(answer.read(1 << 20)), answer.headers.get("dpop-nonce")
        except (OSError, ValueError):
            return False, "pdp_unavailable", None
        if said.get("decision") is True:
            return True, None, None
        return False, said.get("context", {}).get("reason", "internal"), nonce
