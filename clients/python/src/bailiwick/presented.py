"""What a caller shows: read from header fields, not yet verified."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import BailiwickError

_AUTHORIZATION = re.compile(r"([A-Za-z0-9-]+) +([A-Za-z0-9._~+/=-]{1,16384})")


@dataclass(frozen=True)
class Presented:
    #: Method and URL as the caller meant them: by this API's own address, never by a `Host` field.
    htm: str
    htu: str
    #: Without its scheme; None if there was none.
    credential: str | None = None
    proof: str | None = None
    #: The caller's own id for this call.
    call_id: str | None = None

    def __repr__(self) -> str:
        return f"<presented for {self.htm} {self.htu}>"


def read_presented(method: str, url: str, headers: Iterable[tuple[bytes | str, bytes | str]]) -> Presented:
    """`Authorization: DPoP …` and `DPoP` (RFC 9449 section 7.1) of all header fields, as they were received.

    Raises `credential_malformed`, `proof_missing` or `proof_invalid`. A credential under another scheme, above all Bearer, goes no
    further: without the proof it identifies no caller. A field that comes twice is refused too: two servers may each read another.
    """
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(_text(name).lower(), []).append(_text(value))
    authorizations, proofs, ids = (fields.get(name, []) for name in ("authorization", "dpop", "bailiwick-call-id"))
    if len(authorizations) > 1:
        raise BailiwickError("credential_malformed")
    if len(proofs) > 1 or (proofs and "," in proofs[0]):
        raise BailiwickError("proof_invalid")
    call_id = ids[0] if len(ids) == 1 else None
    if not authorizations:
        return Presented(method, url, call_id=call_id)
    found = _AUTHORIZATION.fullmatch(authorizations[0])
    if found is None:
        raise BailiwickError("credential_malformed")
    if found[1].lower() != "dpop" or not proofs:
        raise BailiwickError("proof_missing")
    return Presented(method, url, found[2], proofs[0], call_id)


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
