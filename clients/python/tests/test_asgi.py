"""The guard before an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fake_pdp import FakePdp
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from bailiwick import Action, BailiwickError, EnforcementPoint, tool
from bailiwick.asgi import Asked, Guard, Route

SHOWN = {"authorization": "DPoP a.b.c", "dpop": "d.e.f"}


def own(action: str, **more: Any) -> dict[str, Any]:
    return {"id": action, "type": "custom", "properties": {"vendor": "bailiwick", "action": action, **more}}


def body_action(asked: Asked) -> Action:
    return Action("files/put", tool("files"), {"length": len(asked.body)})


class Api:
    """A guarded application, and what its handlers saw."""

    def __init__(self, point: EnforcementPoint) -> None:
        self.seen: list[Any] = []
        app = FastAPI()

        @app.post("/read")
        async def read(request: Request) -> Any:
            self.seen.append((await request.json(), dict(request.headers)))
            return {"invoice": "INV-1", "iban": "DE1"}

        @app.get("/invoices/{invoice}")
        def invoice(invoice: str, page: str = "") -> Any:
            self.seen.append((invoice, page))
            return {"invoice": invoice}

        @app.put("/files")
        async def put(request: Request) -> Response:
            self.seen.append(await request.body())
            return Response(status_code=201)

        @app.get("/stream")
        async def stream() -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                for _ in range(100):
                    yield b"x" * 100
                    await asyncio.sleep(0.02)

            return StreamingResponse(parts(), media_type="text/plain")

        @app.get("/broken")
        def broken() -> None:
            raise RuntimeError("secret")

        @app.get("/health")
        def health() -> str:
            return "ok"

        app.add_middleware(
            Guard,
            point=point,
            base_url="https://invoices.example",
            routes={
                "POST /read": Route(tool("invoices/read"), query=("copies", "dry_run")),
                "POST /plain": tool("invoices/read"),
                "GET /invoices/{invoice}": tool("invoices/read"),
                "GET /broken": tool("invoices/read"),
                "GET /stream": tool("invoices/read"),
                "PUT /files": body_action,
            },
            open=["GET /health"],
            longest_body=10_000,
        )
        self.app = app

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://elsewhere.example") as client:
                given: dict[str, Any] = {"headers": SHOWN, **more}
                return await client.request(method, path, **given)

        return asyncio.run(asked())


def test_a_request_is_decided_by_all_that_its_handler_reads() -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        api = Api(point)
        answer = api.ask("POST", "/read?copies=2", json={"invoice": "INV-1"})
        assert answer.status_code == 200
        assert answer.headers["bailiwick-decision-id"].startswith("dec_")
        assert api.ask("GET", "/invoices/INV%207?page=3").json() == {"invoice": "INV 7"}
        assert api.ask("PUT", "/files", content=b"\xff" * 9).status_code == 201
        assert point.delivered(60)
    asked = [(each["action"], each["context"]["bailiwick"]["htu"]) for each in pdp.asked]
    # By the configured address, and never by that of the request.
    assert asked == [
        ({"name": "tools/call", "properties": {"invoice": "INV-1", "copies": "2"}}, "https://invoices.example/read"),
        ({"name": "tools/call", "properties": {"invoice": "INV 7", "page": "3"}}, "https://invoices.example/invoices/INV%207"),
        ({"name": "files/put", "properties": {"length": 9}}, "https://invoices.example/files"),
    ]
    assert pdp.asked[0]["context"]["bailiwick"]["credential"] == "a.b.c"
    # The handler has no credential to lose.
    assert not {"authorization", "dpop"} & api.seen[0][1].keys()
    assert [(each["status"], each["http_status"]) for each in pdp.outcomes] == [("succeeded", 200), ("succeeded", 200), ("succeeded", 201)]
    assert pdp.outcomes[0]["egress_bytes"] == len('{"invoice":"INV-1","iban":"DE1"}')


REFUSED: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "/nowhere", {}, 404, "route_unknown"),
    ("GET", "/read", {}, 404, "route_unknown"),
    ("POST", "/read/", {}, 404, "route_unknown"),
    ("POST", "//read", {}, 404, "route_unknown"),
    ("GET", "/docs", {}, 404, "route_unknown"),
    ("POST", "/health", {}, 404, "route_unknown"),
    ("POST", "/read", {"content": b'{"a":1,"a":2}'}, 400, "json_malformed"),
    ("POST", "/read", {"content": b'{"a":9007199254740993}'}, 400, "json_malformed"),
    ("POST", "/read", {"content": b"[1]"}, 400, "request_malformed"),
    ("POST", "/read?copies=1", {"content": b'{"copies":2}'}, 400, "request_malformed"),
    ("POST", "/read?copies=1&copies=2", {"content": b"{}"}, 400, "request_malformed"),
    # Decided, and not read by the handler, which takes the parameter's default.
    ("POST", "/read", {"content": b'{"amount":"500","dry_run":"true"}'}, 400, "request_malformed"),
    ("POST", "/read", {"content": b'{"Dry_Run":"true"}'}, 400, "request_malformed"),
    ("POST", "/read?amount=500", {"content": b"{}"}, 400, "request_malformed"),
    ("POST", "/plain?dry_run=true", {"content": b"{}"}, 400, "request_malformed"),
    ("GET", "/invoices/INV-1", {"content": b'{"page":"3"}'}, 400, "request_malformed"),
    ("PUT", "/files?length=3", {"content": b"{}"}, 400, "request_malformed"),
    ("GET", "/invoices/INV-1?invoice=INV-2", {}, 400, "request_malformed"),
    ("POST", "/read?copies=%ff", {"content": b"{}"}, 400, "request_malformed"),
    ("POST", "/read?a;b", {"content": b"{}"}, 400, "request_malformed"),
    ("POST", "/read", {"content": b"{}" + b" " * 10_000}, 413, "body_too_large"),
    ("POST", "/read", {"content": b"a=1", "headers": {**SHOWN, "content-type": "application/x-www-form-urlencoded"}}, 415, "content_type_unsupported"),
    ("POST", "/read", {"content": b"{}", "headers": {**SHOWN, "content-encoding": "gzip"}}, 415, "content_type_unsupported"),
    ("POST", "/read", {"headers": {"authorization": "Bearer a.b.c", "dpop": "d.e.f"}}, 401, "proof_missing"),
    ("POST", "/read", {"headers": {"authorization": "DPoP a.b.c"}}, 401, "proof_missing"),
    ("POST", "/read", {"headers": [("authorization", "DPoP a"), ("authorization", "DPoP b"), ("dpop", "c")]}, 401, "credential_malformed"),
    ("POST", "/read", {"headers": [("authorization", "DPoP a"), ("dpop", "c"), ("dpop", "c")]}, 401, "proof_invalid"),
    ("POST", "/read", {"headers": {"authorization": "DPoP a b", "dpop": "c"}}, 401, "credential_malformed"),
]


@pytest.mark.parametrize(("method", "path", "more", "status", "code"), REFUSED)
def test_a_request_that_could_be_read_in_two_ways_is_refused(
    method: str, path: str, more: dict[str, Any], status: int, code: str
) -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        api = Api(point)
        if "content" in more:
            more = {**more, "headers": {"content-type": "application/json", **more.get("headers", SHOWN)}}
        answer = api.ask(method, path, **more)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)
    assert api.seen == []
    assert pdp.asked == []


def test_what_is_open_needs_no_permit() -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        assert Api(point).ask("GET", "/health").json() == "ok"
    assert pdp.asked == []


def test_a_denial_says_what_to_do_next() -> None:
    pdp = FakePdp()
    offer = {"endpoint": "https://pdp.example/access/v1/requests", "expires_at": "2030-01-01T00:00:00Z", "binding_token": "e30.e30.e30"}
    with pdp.point() as point:
        api = Api(point)
        context: dict[str, Any] = {"reason": "proof_nonce_required", "dpop_nonce": "n-1"}
        pdp.answer = lambda _: {"decision": False, "context": context}
        answer = api.ask("POST", "/read", json={})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'DPoP error="use_dpop_nonce", algs="ES256 EdDSA Ed25519"'
        assert answer.headers["dpop-nonce"] == "n-1"
        context = {"reason": "uses_reserved", "retry_after": 2}
        answer = api.ask("POST", "/read", json={})
        assert (answer.status_code, answer.headers["retry-after"], answer.json()["retry_after"]) == (403, "2", 2)
        context = {"reason": "credential_missing", "access_request": offer, "decision_id": "dec_0123456789"}
        problem = api.ask("POST", "/read", json={}).json()
        assert (problem["access_request"], problem["decision_id"]) == (offer, "dec_0123456789")
    assert api.seen == []


def test_an_answer_is_hidden_or_withheld_as_the_decision_says() -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        api = Api(point)
        pdp.obligations = [own("redact", fields=["iban"])]
        answer = api.ask("POST", "/read", json={})
        assert answer.json() == {"invoice": "INV-1", "iban": "[redacted]"}
        assert int(answer.headers["content-length"]) == len(answer.content)
        pdp.obligations = [own("limit", bytes=10)]
        answer = api.ask("POST", "/read", json={})
        assert (answer.status_code, answer.json()["code"], answer.json()["executed"]) == (502, "answer_withheld", True)
        # No JSON: it is not certain that the field is hidden.
        pdp.obligations = [own("redact", fields=["iban"])]
        assert api.ask("GET", "/stream").json()["code"] == "answer_withheld"
        assert point.delivered(60)
    assert [(each["status"], each["egress_bytes"] > 0) for each in pdp.outcomes] == [("succeeded", True)] + [("succeeded", False)] * 2


def scope(path: str) -> dict[str, Any]:
    headers = [(name.encode(), value.encode()) for name, value in SHOWN.items()]
    return {"type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}


def test_a_stream_is_cut_at_its_limit_and_with_its_grant() -> None:
    pdp = FakePdp()

    async def stream(api: Api) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        is_asked = False

        async def receive() -> dict[str, Any]:
            nonlocal is_asked
            if is_asked:
                await asyncio.sleep(60)
            is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)
            if message["type"] == "http.response.start":
                decision = dict(message["headers"])[b"bailiwick-decision-id"].decode()
                if not pdp.obligations:
                    pdp.over[decision] = "grant_revoked"

        with pytest.raises(BailiwickError):
            await api.app(scope("/stream"), receive, send)
        return sent

    with pdp.point(most_silence=60.0) as point:
        api = Api(point)
        pdp.obligations = [own("limit", bytes=250)]
        parts = asyncio.run(stream(api))
        assert sum(len(each.get("body", b"")) for each in parts) == 200
        assert parts[-1]["more_body"]
        pdp.obligations = []
        parts = asyncio.run(stream(api))
        assert parts[-1]["more_body"]
        assert point.delivered(60)
    limited, cut = pdp.outcomes
    assert (limited["status"], limited["egress_bytes"]) == ("succeeded", 200)
    assert (cut["status"], cut["cut"]) == ("unknown", "grant_revoked")


def test_a_handler_that_fails_is_reported_as_failed() -> None:
    pdp = FakePdp()
    with pdp.point() as point:
        assert Api(point).ask("GET", "/broken").status_code == 500
        assert point.delivered(60)
    assert pdp.outcomes[0]["status"] == "failed"


def test_a_web_socket_is_refused() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    pdp = FakePdp()
    with pdp.point() as point:
        asyncio.run(Api(point).app({"type": "websocket", "path": "/health", "headers": [], "asgi": {"version": "3.0"}}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def app_of(point: EnforcementPoint, ran: list[str], routes: dict[str, Any], open: list[str]) -> FastAPI:
    """An application with more handlers than its guard names."""
    app, below, mounted = FastAPI(), APIRouter(prefix="/teams"), FastAPI()

    def handler(name: str) -> Any:
        def handle() -> str:
            ran.append(name)
            return name

        return handle

    for path in ("/users/export", "/users/{user_id:str}", "/users/me", "/invoices"):
        app.get(path)(handler(path))
    below.get("/all")(handler("/teams/all"))
    below.get("/{team}")(handler("/teams/{team}"))
    app.include_router(below)
    mounted.get("/secret")(handler("/mounted/secret"))
    mounted.get("/{page}")(handler("/mounted/{page}"))
    app.mount("/mounted", mounted)
    app.add_middleware(Guard, point=point, base_url="https://invoices.example", routes=routes, open=open)
    return app


def get(app: Any, path: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://elsewhere.example") as client:
            return await client.get(path, headers=SHOWN)

    return asyncio.run(asked())


HANDLED: list[tuple[str, str | None]] = [
    ("/users/7", "/users/{user_id:str}"),
    ("/users/export", None),
    # The application has it behind the other, so it runs the other.
    ("/users/me", None),
    ("/teams/7", "/teams/{team}"),
    ("/teams/all", None),
    ("/mounted/7", "/mounted/{page}"),
    ("/mounted/secret", None),
    ("/open", None),
    ("/invoices", None),
]


@pytest.mark.parametrize("is_outside", [False, True])
def test_a_route_lets_no_other_handler_through(is_outside: bool) -> None:
    pdp, ran = FakePdp(), list[str]()
    routes = {f"GET {path}": tool("any") for path in ("/users/{id}", "/users/me", "/teams/{id}", "/mounted/{id}")}
    with pdp.point() as point:
        app: Any = app_of(point, ran, {} if is_outside else routes, [] if is_outside else ["GET /{page}"])
        if is_outside:
            app.user_middleware.clear()
            app = Guard(app, point=point, base_url="https://invoices.example", routes=routes, open=["GET /{page}"])
        for path, handler in HANDLED:
            ran.clear()
            asked = len(pdp.asked)
            answer = get(app, path)
            assert ran == ([] if handler is None else [handler]), path
            if path != "/open":
                assert answer.status_code == (404 if handler is None else 200), path
                assert len(pdp.asked) - asked == (0 if handler is None else 1), path


UNCLEAR: list[tuple[list[str], list[str]]] = [
    (["GET /{a}/x", "GET /y/{b}"], []),
    (["GET /x/{a}", "GET /x/{b}"], []),
    (["GET /invoices"], ["GET /{page}"]),
    (["GET /users/{id}"], ["GET /users/health"]),
    (["GET /{name}.json", "GET /a{name}"], []),
]


@pytest.mark.parametrize(("routes", "open"), UNCLEAR)
def test_a_request_that_could_be_two_routes_is_refused_at_the_start(routes: list[str], open: list[str]) -> None:
    async def app(*_: Any) -> None: ...

    pdp = FakePdp()
    with pdp.point() as point:
        with pytest.raises(BailiwickError, match="config_invalid"):
            Guard(app, point=point, base_url="https://x.example", routes={each: tool("any") for each in routes}, open=open)
        clear = ["GET /x/{a}", "GET /x/y", "POST /x/{b}", "GET /{n}.json", "GET /{n}.xml"]
        Guard(app, point=point, base_url="https://x.example", routes={each: tool("any") for each in clear}, open=["GET /health"])


def test_the_exact_route_comes_before_one_with_a_parameter() -> None:
    pdp = FakePdp()

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with pdp.point() as point:
        routes = {"GET /users/{id}": tool("users/read"), "GET /users/me": tool("users/me")}
        guard = Guard(app, point=point, base_url="https://x.example", routes=routes)
        assert [get(guard, path).status_code for path in ("/users/me", "/users/7")] == [200, 200]
    assert [each["resource"]["id"] for each in pdp.asked] == ["users/me", "users/read"]
