"""A resource server: GET /invoices/<id>, for an agent that shows a Bailiwick credential to read invoices, and its proof.

With --decision-point it asks that about each call; else it judges by the credential alone.
"""

import argparse
import json
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bailiwick_access import Access, Refused, allows
from decision_point import DecisionPoint


def handler(access, decisions):
    class Invoices(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path, headers = self.path.partition("?")[0], self.headers
            try:
                claims = access.claims("GET", path, headers.get_all("authorization", []), headers.get_all("dpop", []))
                if not path.startswith("/invoices/"):
                    return self._answer(404, {"error": "not_found"})
                denied = denial(access, decisions, claims, headers, path)
            except Refused as refused:
                error = f'error="{refused.error}", ' if refused.error else ""
                return self._answer(401, {"error": refused.error}, f'DPoP {error}algs="ES256 EdDSA"')
            if denied is not None:
                return self._answer(403, {"error": denied})
            return self._answer(200, {"invoice": path.removeprefix("/invoices/"), "agent": claims["client_id"]})

        def _answer(self, status, body, challenge=None):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.send_header("cache-control", "no-store")
            if challenge is not None:
                self.send_header("www-authenticate", challenge)
                self.send_header("dpop-nonce", access.nonce)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Invoices


def denial(access, decisions, claims, headers, path):
    """Why this call is denied; None: it is not. Raises Refused if the proof needs the decision point's nonce."""
    if decisions is None:
        return None if allows(claims, "tools/call", "tool", "invoices/read") else "action_not_granted"
    token = headers["authorization"].partition(" ")[2]
    observed = {"credential": token, "proof": headers["dpop"], "htm": "GET", "htu": access.base_url + path}
    allowed, reason, nonce = decisions.decide(claims["client_id"], "tools/call", {"type": "tool", "id": "invoices/read"}, observed)
    if nonce is not None:
        access.adopt(nonce)
        raise Refused("use_dpop_nonce", "the decision point needs the nonce of this answer")
    return None if allowed else reason


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--issuer", required=True, help="the issuer's address, as tokens have it in iss")
    parser.add_argument("--base-url", required=True, help="this server's own address, as the registry has it; aud and htu are compared with it")
    parser.add_argument("--decision-point", help="the address of a decision point to ask about each call")
    parser.add_argument("--secret-file", help="with --decision-point: a file with this server's secret there (bearer_sha256 in the registry)")
    options = parser.parse_args()
    decisions = DecisionPoint(options.decision_point, options.secret_file) if options.decision_point is not None else None
    port = urllib.parse.urlsplit(options.base_url).port
    server = ThreadingHTTPServer(("localhost", port), handler(Access(options.issuer, options.base_url), decisions))
    print("ready", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
