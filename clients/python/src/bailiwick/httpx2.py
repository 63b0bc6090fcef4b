"""An agent's calls through httpx2: `httpx2.Client(auth=Auth(agent, grant, action=tool("invoices/read")))`."""

from __future__ import annotations

import httpx2

from ._auth import AuthFlow, denial_of

__all__ = ["Auth", "denial_of"]


class Auth(AuthFlow[httpx2.Request, httpx2.Response], httpx2.Auth):
    """`httpx2.Auth` with a credential, a proof, nonces and renewal."""
