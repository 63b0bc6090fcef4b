"""Software with its own identity that asks before it acts."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

import anyio
import httpx
from typing_extensions import Required, Self, Unpack

from . import tasks
from ._credentials import Attestation, Client, Credential, Held, obtain
from ._delegating import SignedDelegation, complete, delegated, revoke_delegation
from ._dpop import Prover
from ._exchange import Connecting, Exchange, run, run_async
from ._json import JsonObject
from .errors import BailiwickError
from .keys import SigningKey, read_key_file
from .tasks import AccessTask, Ask, SignedRequest

T = TypeVar("T")


class Settings(TypedDict, total=False):
    """Who an agent is, and where its installation."""

    #: The registered SPIFFE ID: `spiffe://<trust domain>/agent/<name>`.
    agent_id: Required[str]
    #: This running copy of it. Its key is registered, or was bound by attestation.
    instance: Required[str]
    key: Required[SigningKey]
    #: The installation's id: the audience of requests.
    installation: Required[str]
    #: The address of all services, if one process or one proxy serves them.
    url: Required[str]
    #: The issuer's address, if it is another.
    issuer: str
    #: The URL of access requests, if it is another.
    access_requests: str
    attestation: Attestation
    #: How long one answer may take, in seconds: 10.
    timeout: float
    ssl_context: ssl.SSLContext
    #: Of httpx, in place of the network's: for tests.
    transport: httpx.BaseTransport | httpx.AsyncBaseTransport


class _Identity:
    """What the synchronous and the asynchronous agent share."""

    def __init__(self, **settings: Unpack[Settings]) -> None:
        key, installation = settings["key"], settings["installation"]
        if key.purpose != "agent":
            raise BailiwickError("key_purpose_wrong", f"a {key.purpose} key")
        base = settings["url"].rstrip("/")
        #: `<agent id>/<instance>`: the identity that signs, asks and acts.
        self.id = f"{settings['agent_id']}/{settings['instance']}"
        self.installation = installation
        self._prover = Prover(key)
        self._issuer = settings.get("issuer", base).rstrip("/")
        self._requests = settings.get("access_requests", f"{base}/access/v1/requests")
        self._asking = tasks.Asking(self.id, installation, self._prover, self._requests)
        token_url = f"{self._issuer}/oauth/token"
        attestation = settings.get("attestation")
        self._client = Client(self.id, self._prover, self._issuer, token_url, self._requests, attestation)
        self._held = Held()
        self._timeout = settings.get("timeout", 10.0)
        self._connecting = Connecting(self._timeout, settings.get("ssl_context"), settings.get("transport"))

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """By `BAILIWICK_URL`, `_INSTALLATION`, `_AGENT`, `_AGENT_INSTANCE` and `_AGENT_KEY` (a file), as `bailiwick dev --env`
        writes them. Raises `config_invalid` with the name of one that is missing."""
        env = os.environ if env is None else env
        return cls(
            agent_id=setting(env, "BAILIWICK_AGENT"),
            instance=setting(env, "BAILIWICK_AGENT_INSTANCE"),
            key=read_key_file(setting(env, "BAILIWICK_AGENT_KEY"), "agent"),
            installation=setting(env, "BAILIWICK_INSTALLATION"),
            url=setting(env, "BAILIWICK_URL"),
        )

    @property
    def prover(self) -> Prover:
        """Makes the proofs of calls; for adapters."""
        return self._prover

    def sign_request(self, authority: Mapping[str, Any], **ask: Unpack[Ask]) -> SignedRequest:
        """Signs without submitting. Submitted twice, it is one request."""
        return tasks.sign_request(self._asking, authority, now=int(time.time()), **ask)

    def _submission(self, authority: Mapping[str, Any] | SignedRequest, ask: Ask) -> Exchange[AccessTask]:
        signed = authority if isinstance(authority, SignedRequest) else self.sign_request(authority, **ask)
        attestation = self._client.attestation
        shown: JsonObject | None = None
        if attestation is not None:
            token = attestation.shown("access-requests", self._issuer, self._requests)
            shown = {"token": token, "jwk": self._prover.key.public_jwk}
        return tasks.submit(self._asking, signed, shown)

    def _delegated(
        self,
        own: Credential,
        to: str,
        key: str | Mapping[str, Any],
        authority: Mapping[str, Any],
        expires_at: float,
        resources: Sequence[str] | None,
    ) -> SignedDelegation:
        return delegated(
            own,
            self._prover.key,
            id=self.id,
            installation=self.installation,
            to=to,
            to_key=key,
            authority=authority,
            expires_at=expires_at,
            resources=resources,
        )


class Agent(_Identity):
    """The synchronous agent; safe to use from several threads. Close it, or use it with `with`."""

    def __init__(self, **settings: Unpack[Settings]) -> None:
        super().__init__(**settings)
        self._http = self._connecting.client()
        self._locks: dict[tuple[str, str | None], threading.Lock] = {}

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, exchange: Exchange[T], progress: Callable[[Any], None] | None = None) -> T:
        return run(exchange, self._http, self._timeout, progress)

    def ask(self, authority: Mapping[str, Any] | SignedRequest, **ask: Unpack[Ask]) -> AccessTask:
        """Asks for a task. A person answers it: `wait` for that."""
        return self._run(self._submission(authority, ask))

    def status(self, request_id: str) -> AccessTask:
        return self._run(tasks.status_of(self._asking, request_id))

    def wait(
        self,
        task: AccessTask | str,
        *,
        timeout: float | None = None,
        progress: Callable[[AccessTask], None] | None = None,
    ) -> AccessTask:
        """Returns once the request is answered, approved or not. `progress` is called with each state until then. Raises
        `access_request_pending` after `timeout` seconds."""
        request_id = task if isinstance(task, str) else task.request_id
        return self._run(tasks.wait_for(self._asking, request_id, timeout), progress)

    def cancel(self, request_id: str) -> None:
        self._run(tasks.cancel(self._asking, request_id))

    def credential(self, grant: str, *, resource: str | None = None, wait: float | None = None) -> Credential:
        """A credential for a grant, a request (`req_…`) or a delegation (its signed form), from memory while it has time left.

        `resource`: the one API that it is for. `wait`: for how many seconds to go on asking while people decide; without it,
        `access_request_pending`. Raises `access_request_refused` if none will come.
        """
        with self._locks.setdefault((grant, resource), threading.Lock()):
            return self._run(obtain(self._client, self._held, grant, resource, wait))

    def renew(self, grant: str, refused: Credential, *, resource: str | None = None) -> Credential:
        """Another credential in place of one that an API refused."""
        self._held.forget(grant, resource, refused)
        return self.credential(grant, resource=resource)

    def delegate(
        self,
        grant: str,
        *,
        to: str,
        key: str | Mapping[str, Any],
        authority: Mapping[str, Any],
        expires_at: float,
        resources: Sequence[str] | None = None,
    ) -> SignedDelegation:
        """Passes a part of its rights on to the instance `to`, which redeems it with its own key: `sub.credential(signed.delegation)`.
        `key`: that key's thumbprint, or the public JWK. `expires_at`: seconds since the epoch."""
        return self._delegated(self.credential(grant), to, key, authority, expires_at, resources)

    def revoke_delegation(self, delegation: str) -> None:
        """Ends a delegation, by its id or signed form, and everything below it."""
        self._run(revoke_delegation(self._prover, self._issuer, delegation))

    def complete(self, grant: str) -> None:
        """The task is done. Once this returns, the grant and everything minted or passed on under it are dead. May be repeated."""
        self._run(complete(self._prover, self._issuer, grant))
        self._held.drop(grant)


class AsyncAgent(_Identity):
    """The asynchronous agent, for one event loop. Close it, or use it with `async with`. Each method is as `Agent` has it."""

    def __init__(self, **settings: Unpack[Settings]) -> None:
        super().__init__(**settings)
        self._http = self._connecting.async_client()
        self._locks: dict[tuple[str, str | None], anyio.Lock] = {}

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, exchange: Exchange[T], progress: Callable[[Any], None] | None = None) -> T:
        return await run_async(exchange, self._http, self._timeout, progress)

    async def ask(self, authority: Mapping[str, Any] | SignedRequest, **ask: Unpack[Ask]) -> AccessTask:
        return await self._run(self._submission(authority, ask))

    async def status(self, request_id: str) -> AccessTask:
        return await self._run(tasks.status_of(self._asking, request_id))

    async def wait(
        self,
        task: AccessTask | str,
        *,
        timeout: float | None = None,
        progress: Callable[[AccessTask], None] | None = None,
    ) -> AccessTask:
        request_id = task if isinstance(task, str) else task.request_id
        return await self._run(tasks.wait_for(self._asking, request_id, timeout), progress)

    async def cancel(self, request_id: str) -> None:
        await self._run(tasks.cancel(self._asking, request_id))

    async def credential(self, grant: str, *, resource: str | None = None, wait: float | None = None) -> Credential:
        async with self._locks.setdefault((grant, resource), anyio.Lock()):
            return await self._run(obtain(self._client, self._held, grant, resource, wait))

    async def renew(self, grant: str, refused: Credential, *, resource: str | None = None) -> Credential:
        self._held.forget(grant, resource, refused)
        return await self.credential(grant, resource=resource)

    async def delegate(
        self,
        grant: str,
        *,
        to: str,
        key: str | Mapping[str, Any],
        authority: Mapping[str, Any],
        expires_at: float,
        resources: Sequence[str] | None = None,
    ) -> SignedDelegation:
        return self._delegated(await self.credential(grant), to, key, authority, expires_at, resources)

    async def revoke_delegation(self, delegation: str) -> None:
        await self._run(revoke_delegation(self._prover, self._issuer, delegation))

    async def complete(self, grant: str) -> None:
        await self._run(complete(self._prover, self._issuer, grant))
        self._held.drop(grant)


def setting(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise BailiwickError("config_invalid", f"{name} is missing")
    return value
