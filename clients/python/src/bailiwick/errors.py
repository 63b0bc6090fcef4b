"""What the SDK raises."""

from __future__ import annotations

from ._codes import ERRORS


class BailiwickError(Exception):
    """Known by `code`: a code of docs/reference/errors.md, or an enforcement point's or decision point's reason.

    No error holds a token, a key, a proof, or a server's own words.
    """

    def __init__(self, code: str, detail: str | None = None) -> None:
        super().__init__(code if detail is None else f"{code}: {detail}")
        self.code = code
        self.detail = detail

    @property
    def retryable(self) -> bool:
        """Whether the same call, repeated, can succeed."""
        kind = ERRORS.get(self.code)
        return kind is not None and kind.retryable
