"""Which route of a guard a request is, and whether the application's own router runs that route's handler."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl

from ._arguments import arguments_of
from .action import Action, Resource
from .errors import BailiwickError

Headers = list[tuple[bytes, bytes]]
_JSON = re.compile(rb"application/(?:[a-z0-9.-]+\+)?json\s*(?:;|$)", re.IGNORECASE)
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: A handler of these reads its arguments from the query, one of any other method from the body, unless the route says more.
_WITHOUT_BODY = ("GET", "HEAD", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class Asked:
    """A request, read whole."""

    method: str
    path: str
    query: str
    #: The parameters in the path, by the names that the route gives them.
    parameters: Mapping[str, str]
    headers: Headers
    body: bytes
    #: The parameters of the query that the route declares; None if it declares none.
    declared: tuple[str, ...] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The members of the JSON body, and the parameters of path and query as texts. Raises `request_malformed` where one name has
        two values, or stands in another place than its own, and `content_type_unsupported` for a body that is not JSON."""
        if self.body and not all(_JSON.match(value) for value in values_of(self.headers, b"content-type") or [b""]):
            raise BailiwickError("content_type_unsupported")
        if values_of(self.headers, b"content-encoding"):
            raise BailiwickError("content_type_unsupported")
        return arguments_of(self.body, self.query, self.parameters, self.declared or ())

    def check_places(self) -> None:
        """Raises `request_malformed` for arguments in a place that the route's handler does not read."""
        if self.declared is None:
            if self.body if self.method in _WITHOUT_BODY else self.query:
                raise BailiwickError("request_malformed", "the route declares no parameters of the query beside a body")
            return
        fields = parse_qsl(self.query, keep_blank_values=True, errors="surrogateescape")
        if any(name not in self.declared for name, _ in fields):
            raise BailiwickError("request_malformed", "a parameter of the query that the route does not declare")


ToAction = Resource | Callable[[Asked], Action]


@dataclass(frozen=True)
class Route:
    """A route of a guard. `query` names all parameters of the query that its handler reads beside a body."""

    to_action: ToAction
    query: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Pattern:
    """`GET /invoices/{id}`: a parameter is one segment of the path."""

    text: str
    method: str = field(init=False)
    segments: tuple[str, ...] = field(init=False)
    regex: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        method, _, path = self.text.partition(" ")
        if not re.fullmatch(r"[A-Z]+ /[^\s{}]*", _PARAMETER.sub("", self.text)):
            raise BailiwickError("config_invalid", f"a route is METHOD /path, not {self.text!r}")
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "segments", tuple(path.split("/")[1:]))
        object.__setattr__(self, "regex", _regex(self.text))

    @property
    def form(self) -> str:
        """The path without the names of its parameters, which the application may have named otherwise."""
        return "".join(f"/{_PARAMETER.sub('{}', each)}" for each in self.segments)

    @property
    def ranks(self) -> tuple[int, ...]:
        """How much of each segment is open: nothing, a part, or all."""
        return tuple(0 if "{" not in each else 2 if _PARAMETER.fullmatch(each) else 1 for each in self.segments)

    def meets(self, other: Pattern) -> bool:
        """Whether one request could be both."""
        is_alike = self.method == other.method and len(self.segments) == len(other.segments)
        return is_alike and all(map(_meet, self.segments, other.segments))

    def is_more_exact(self, other: Pattern) -> bool:
        return self.ranks != other.ranks and all(own <= its for own, its in zip(self.ranks, other.ranks))


class Routes:
    """The routes of a guard, the more exact first. Raises `config_invalid` where a request could be two of them, or open and guarded."""

    def __init__(self, routes: Mapping[str, ToAction | Route], open: Iterable[str]) -> None:
        guarded = [(Pattern(text), to if isinstance(to, Route) else Route(to)) for text, to in routes.items()]
        self._open = [Pattern(text) for text in open]
        self._guarded = sorted(guarded, key=lambda each: sum(each[0].ranks))
        patterns = [pattern for pattern, _ in self._guarded]
        for at, one in enumerate(patterns):
            for other in patterns[at + 1 :]:
                if one.meets(other) and not one.is_more_exact(other):
                    raise BailiwickError("config_invalid", f"a request can be {one.text!r} and {other.text!r}")
            for other in self._open:
                if one.meets(other):
                    raise BailiwickError("config_invalid", f"a request can be {one.text!r}, and open as {other.text!r}")

    def is_open(self, scope: MutableMapping[str, Any], app: object) -> bool:
        name = f"{scope['method']} {scope['path']}"
        return any(each.regex.fullmatch(name) and _is_handled_as(each, scope, app) for each in self._open)

    def find(self, scope: MutableMapping[str, Any], app: object) -> tuple[Route, dict[str, str]] | None:
        """The route, and the parameters in the path. None if there is none, or if the application would run another one's handler."""
        name = f"{scope['method']} {scope['path']}"
        for pattern, route in self._guarded:
            found = pattern.regex.fullmatch(name)
            if found is not None:
                return (route, found.groupdict()) if _is_handled_as(pattern, scope, app) else None
        return None


def values_of(headers: Headers, name: bytes) -> list[bytes]:
    """All values of a header field."""
    return [value for each, value in headers if each.lower() == name]


def is_json(kind: bytes) -> bool:
    """Whether a content type is JSON."""
    return _JSON.match(kind) is not None


def _regex(text: str) -> re.Pattern[str]:
    parts = _PARAMETER.split(text)
    return re.compile("".join(f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def _meet(one: str, other: str) -> bool:
    if "{" not in one:
        return one == other if "{" not in other else _regex(_numbered(other)).fullmatch(one) is not None
    if "{" not in other:
        return _meet(other, one)
    (start, *_), (its_start, *_) = one.split("{", 1), other.split("{", 1)
    end, its_end = one.rpartition("}")[2], other.rpartition("}")[2]
    is_start = start.startswith(its_start) or its_start.startswith(start)
    return is_start and (end.endswith(its_end) or its_end.endswith(end))


def _numbered(segment: str) -> str:
    """A name may stand in two segments of different patterns, but a regular expression has it once."""
    names = iter(range(len(segment)))
    return _PARAMETER.sub(lambda _: f"{{_{next(names)}}}", segment)


def _is_handled_as(pattern: Pattern, scope: MutableMapping[str, Any], app: object) -> bool:
    """Whether the application's router has no other handler for this request than the pattern's: `/users/{id}` must not let through
    what is a handler of its own at `/users/export`. Only Starlette's routers, and so FastAPI's, can be asked."""
    found = scope.get("app") if getattr(app, "routes", None) is None else app
    routes = getattr(found, "routes", None)
    if routes is None:
        return True
    asked = dict(scope)
    root = getattr(found, "root_path", "") or scope.get("root_path", "")
    asked["root_path"] = root
    is_below = bool(root) and (scope["path"] == root or scope["path"].startswith(f"{root}/"))
    form = _form_in(routes, asked, root if is_below else "")
    # Below an application of another kind nothing more is known than where it is mounted.
    return form is None or (pattern.form.startswith(form[:-1]) if form.endswith("*") else form == pattern.form)


def _form_in(routes: Iterable[Any], scope: dict[str, Any], above: str) -> str | None:
    """The path of the handler that the router would take; None if it has none."""
    for route in _flat(routes):
        match, child = route.matches(dict(scope))
        if match.name != "FULL":
            continue
        inner = getattr(route, "starlette_route", None) or route
        path = getattr(inner, "path_format", None) or getattr(inner, "path", "") or ""
        if hasattr(inner, "endpoint"):
            return above + re.sub(r"\{[^{}]*\}", "{}", path)
        # A mount: its `path_format` ends with the rest of the path.
        at = above + re.sub(r"\{[^{}]*\}", "{}", getattr(inner, "path", "") or "").rstrip("/")
        below = getattr(inner, "routes", None)
        return _form_in(below, {**scope, **child}, at) if below else f"{at}/*"
    return None


def _flat(routes: Iterable[Any]) -> Iterable[Any]:
    """FastAPI keeps a router that was included as one entry."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        yield from cast("Iterable[Any]", contexts()) if callable(contexts) else [route]
