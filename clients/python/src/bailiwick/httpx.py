"""An agent's calls through httpx: `httpx.Client(auth=Auth(agent, grant, action=tool("invoices/read")))`."""

from __future__ import annotations

import httpx

from ._auth import AuthFlow, denial_of

__all__ = ["Auth", "denial_of"]


class Auth(AuthFlow[httpx.Request, httpx.Response], httpx.Auth):
    """`httpx.Auth` with a credential, a proof, nonces and renewal."""
