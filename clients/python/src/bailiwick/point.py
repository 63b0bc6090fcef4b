"""An enforcement point: it asks about every action, runs it once under a verified permit, and reports what happened.

Everything that is unclear is a "no", with a stable code.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import inspect
import logging
import os
import re
import secrets
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypedDict, TypeVar, cast

import anyio
import httpx
from typing_extensions import Concatenate, ParamSpec, Required, Self, Unpack

from ._codes import ERRORS, REASONS
from ._decision import Call, claimed_in, question
from ._duties import Owed, hold, is_signed, owed_by
from ._effects import Effect, Handover, Shares, cancel_soon, give_up, is_in_loop, is_work
from ._exchange import Connecting
from ._json import JsonObject, sha256
from ._jws import random_id
from ._open_calls import CallLife, OpenCalls
from ._outcome_file import OutcomeFile, OutcomeStore
from ._outcomes import Evidence, Obstacle, Reporter
from ._pdp import Clients, Pdp
from ._permits import LEEWAY, Permit, Permits
from .action import Action, Resource, read_action
from .agent import setting
from .errors import BailiwickError
from .keys import SigningKey, read_key_file
from .presented import Presented
from .refusal import Denied, Refusal
from .trust import Trust, read_trust

R = TypeVar("R")
P = ParamSpec("P")
_CALL_ID = re.compile(r"[0-9A-Za-z_-]{16,64}")
_NOT_EXECUTED: JsonObject = {"status": "not_executed"}
#: How long `close` waits for what goes on, in seconds.
_GRACE = 2.0
_log = logging.getLogger("bailiwick")

#: Errors of an effect that say that certainly nothing was done, and those that leave it open.
_NOT_BEGUN = {"call_not_begun", "upstream_unreachable", "upstream_busy", "upstream_address_forbidden", "secret_unavailable"}
_UNCLEAR = {"outcome_unknown", "stream_cut", "upstream_timed_out", "upstream_redirected", "upstream_too_large", "upstream_failed"}


class PointOptions(TypedDict, total=False):
    #: Evidence's public URL. It then gets each outcome too, so that a decision point cannot withhold one.
    evidence_url: str
    #: How long the decision point may take for one answer, in seconds: 2.
    timeout: float
    #: How many outcomes may wait before further calls are refused: 1000.
    most_pending: int
    #: How long a call may go on while the decision point does not confirm that its grant stands, in seconds: 2.
    most_silence: float
    #: The point stands in the process of the agent that it decides for, which can go around it. Its outcomes then say
    #: `enforced_by: in_process`, and no reader takes them for enforcement.
    in_process: bool
    #: Called for what no answer shows: an outcome refused for good, a store that cannot be written. Default: a log line.
    on_problem: Callable[[BailiwickError], None]
    ssl_context: ssl.SSLContext
    #: Of httpx, in place of the network's: for tests.
    transport: httpx.BaseTransport


class PointSettings(PointOptions, total=False):
    #: Its name in the registry. Replicas share it.
    id: Required[str]
    trust: Required[Trust]
    #: Authenticates this point, and signs what happened: two keys.
    caller_key: Required[SigningKey]
    outcome_key: Required[SigningKey]
    #: A path, or a store of your own. Each process needs its own file.
    outcomes: Required[str | os.PathLike[str] | OutcomeStore]
    #: The decision point's public URL, if it is not that of trust.json.
    pdp_url: str


@dataclass(frozen=True)
class Permitted:
    """What was decided. Execute from `action`, and from nothing else."""

    #: A copy of its own: nothing that the caller can reach.
    action: Action
    decision_id: str
    call_id: str
    grant: str
    owed: Owed
    life: CallLife = field(repr=False)
    action_hash: str = field(repr=False)
    #: When the permit is over: an effect that has not begun then does not begin.
    until: float = field(repr=False)

    def check(self) -> None:
        """Raises `stream_cut` once the call must end: its grant was withdrawn or is over, nothing fresh was heard of it, its time is
        over, or this point closes. An effect that goes on for more than a moment calls it."""
        if self.life.cut_reason is not None:
            raise BailiwickError("stream_cut", self.life.cut_reason)


@dataclass(frozen=True)
class Allowed(Generic[R]):
    decision_id: str
    call_id: str
    result: R


class EnforcementPoint:
    """Safe to use from several threads, of one process: make it after a fork. Close it, or use it with `with`."""

    def __init__(self, **settings: Unpack[PointSettings]) -> None:
        trust = settings["trust"]
        for key, purpose in ((settings["caller_key"], "pep-caller"), (settings["outcome_key"], "outcome")):
            if key.purpose != purpose:
                raise BailiwickError("key_purpose_wrong", f"a {key.purpose} key where a {purpose} key belongs")
        self.id = settings["id"]
        #: This start, by a random name. A call, its permit and its outcome belong to one.
        self.instance = random_id()
        self.is_in_process = settings.get("in_process", False)
        self._on_problem = settings.get("on_problem", _log_problem)
        timeout = settings.get("timeout", 2.0)
        self._clients = Clients(Connecting(timeout, settings.get("ssl_context"), settings.get("transport")))
        url = settings.get("pdp_url", trust.public_url).rstrip("/")
        key = settings["caller_key"]
        self._pdp = Pdp(self._clients, id=self.id, instance=self.instance, key=key, url=url, timeout=timeout)
        self._permits = Permits(self._pdp, trust)
        self._reporter = self._reporting(settings, timeout)
        self._open_calls = OpenCalls(self._pdp, settings.get("most_silence", 2.0))
        self._deciding: set[str] = set()
        #: What was permitted and is not reported.
        self._running: dict[str, Permitted] = {}
        self._lock = threading.Lock()
        self._decided = threading.Condition(self._lock)
        self._process = os.getpid()
        self._shares = Shares()
        self._executor = ThreadPoolExecutor(128, "bailiwick decisions")
        self._is_closed = False
        atexit.register(self.close)

    def _reporting(self, settings: PointSettings, timeout: float) -> Reporter:
        outcomes, url = settings["outcomes"], settings.get("evidence_url")
        evidence = None if url is None else Evidence(self._clients.outcomes, url, timeout, self._on_problem)
        try:
            return Reporter(
                self._pdp,
                OutcomeFile(outcomes) if isinstance(outcomes, (str, os.PathLike)) else outcomes,
                settings["outcome_key"],
                installation=settings["trust"].installation,
                most_pending=settings.get("most_pending", 1000),
                always={"enforced_by": "in_process"} if self.is_in_process else {},
                on_problem=self._on_problem,
                evidence=evidence,
            )
        except BaseException:
            if evidence is not None:
                evidence.close()
            self._clients.close()
            raise

    @classmethod
    def from_env(
        cls,
        outcomes: str | os.PathLike[str] | OutcomeStore,
        env: Mapping[str, str] | None = None,
        **options: Unpack[PointOptions],
    ) -> Self:
        """By `BAILIWICK_POINT`, `_URL`, `_TRUST`, `_POINT_CALLER_KEY` and `_POINT_OUTCOME_KEY`, as `bailiwick dev --env` writes them."""
        env = os.environ if env is None else env
        return cls(
            id=setting(env, "BAILIWICK_POINT"),
            trust=read_trust(setting(env, "BAILIWICK_TRUST")),
            caller_key=read_key_file(setting(env, "BAILIWICK_POINT_CALLER_KEY"), "pep-caller"),
            outcome_key=read_key_file(setting(env, "BAILIWICK_POINT_OUTCOME_KEY"), "outcome"),
            pdp_url=setting(env, "BAILIWICK_URL"),
            outcomes=outcomes,
            **options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cuts what goes on, waits 2 s for it to end, and gives the decision point 2 s to take the outcomes that wait. The others are in
        the file. What has not ended by then is reported as `unknown`, and what has not begun never begins.

        In asyncio, use `aclose`: in the thread of a loop this cannot wait for what the loop itself must end.
        """
        with self._lock:
            if self._is_closed or os.getpid() != self._process:
                return
            self._is_closed = True
        atexit.unregister(self.close)
        self._open_calls.close()
        self._executor.shutdown(wait=True)
        with self._decided:
            self._decided.wait_for(lambda: not self._deciding, 2 * self._pdp.timeout + _GRACE)
        if not is_in_loop():
            self._open_calls.wait(_GRACE)
        for permitted in self._taken():
            self._report(permitted, {"status": "unknown", "cut": "point_closed"} if permitted.life.has_begun else _NOT_EXECUTED)
        # What another thread is about to report.
        self._open_calls.wait(_GRACE)
        self._reporter.close()
        self._clients.close()

    async def aclose(self) -> None:
        """As `close`, while the loop goes on: calls that it runs end there."""
        await asyncio.to_thread(self.close)

    def _taken(self) -> list[Permitted]:
        with self._lock:
            return list(self._running.values())

    @property
    def obstacle(self) -> Obstacle | None:
        """Why all calls are refused, for a readiness check; None if no problem is known."""
        return self._reporter.obstacle if self._pdp.is_known else "caller_unauthenticated"

    def delivered(self, timeout: float = 10.0) -> bool:
        """Whether every outcome has its last answer, at the latest after `timeout` seconds."""
        return self._reporter.delivered(timeout)

    def guard(
        self,
        call: Call,
        effect: Callable[[Permitted], R],
        describe: Callable[[R], Effect] | None = None,
    ) -> Allowed[R] | Refusal:
        """Runs `effect` once if, and only if, the decision point allowed exactly this action, and reports what happened, signed.

        A denial is a value, and means that nothing was executed. Raises what `effect` raises, `request_malformed` for arguments
        without a canonical form, and `answer_withheld` for an answer that may not leave: the action was done then.
        """
        with self._shares.one_of(call.presented.credential) as has_room:
            permitted = self._permit(call) if has_room else Refusal("queue_full")
        if isinstance(permitted, Refusal):
            return permitted
        refusal = self._not_begun(permitted)
        if refusal is not None:
            return refusal
        try:
            result = effect(permitted)
        except BaseException as error:
            self._report_error(permitted, error)
            raise
        return self._finished(permitted, result, describe)

    async def guard_async(
        self,
        call: Call,
        effect: Callable[[Permitted], Awaitable[R]],
        describe: Callable[[R], Effect] | None = None,
        *,
        holds_answer: bool = False,
    ) -> Allowed[R] | Refusal:
        """As `guard`, in asyncio. When the call must end, the effect is cancelled, and `stream_cut` is raised.

        `holds_answer`: the effect itself keeps to `Permitted.owed`, because it streams.
        """
        with self._shares.one_of(call.presented.credential) as has_room:
            permitted = await self._permit_async(call) if has_room else Refusal("queue_full")
        if isinstance(permitted, Refusal):
            return permitted
        loop = asyncio.get_running_loop()
        results: list[R] = []
        refusal = self._not_begun(permitted)
        if refusal is not None:
            return refusal
        try:
            with anyio.CancelScope() as scope:
                permitted.life.on_cut(lambda: cancel_soon(loop, scope))
                results.append(await effect(permitted))
            if not results:
                permitted.check()
                raise BailiwickError("internal", "an effect without a result")
        except BaseException as error:
            self._report_error(permitted, error)
            raise
        return self._finished(permitted, results[0], describe, holds_answer=holds_answer)

    async def _permit_async(self, call: Call) -> Permitted | Refusal:
        """In a thread. A caller that is cancelled meanwhile leaves no permit behind that is never reported."""
        if self._is_closed or os.getpid() != self._process:
            # A forked child has none of its parent's threads, and would wait for ever.
            return Refusal("outcomes_locked")
        handover = Handover()

        def decide() -> Permitted | Refusal:
            found = self._permit(call)
            if not handover.give(found):
                self._report_unused(found)
            return found

        try:
            future = self._executor.submit(decide)
        except RuntimeError:  # it closes now
            return Refusal("outcomes_locked")
        try:
            return await asyncio.wrap_future(future)
        except BaseException:
            self._report_unused(handover.abandon())
            raise

    def guarded(
        self, resource: Resource, action: str = "tools/call"
    ) -> Callable[[Callable[P, R]], Callable[Concatenate[Presented, P], R]]:
        """Guards a function, synchronous or not: `read(presented, invoice="INV-1")` runs it if the decision point allows the action
        with these arguments, defaults included, and raises `Denied` otherwise. The function gets what was decided."""

        def wrap(function: Callable[P, R]) -> Callable[Concatenate[Presented, P], R]:
            signature = inspect.signature(function)

            def call_of(presented: Presented, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                return Call(presented, Action(action, resource, bound.arguments))

            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def guarded_async(presented: Presented, *args: P.args, **kwargs: P.kwargs) -> Any:
                    effect = cast("Callable[..., Awaitable[Any]]", function)
                    call = call_of(presented, args, kwargs)
                    return _result_of(await self.guard_async(call, lambda it: effect(**it.action.properties)))

                return cast("Callable[Concatenate[Presented, P], R]", guarded_async)

            @functools.wraps(function)
            def guarded(presented: Presented, *args: P.args, **kwargs: P.kwargs) -> R:
                effect = cast("Callable[..., R]", function)
                return _result_of(self.guard(call_of(presented, args, kwargs), lambda it: effect(**it.action.properties)))

            return guarded

        for_all = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)

        def checked(function: Callable[P, R]) -> Callable[Concatenate[Presented, P], R]:
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise TypeError("a guarded function is not a generator: it would run after its permit")
            if any(each.kind in for_all for each in inspect.signature(function).parameters.values()):
                raise TypeError("a guarded function has named parameters only: they name its arguments")
            return wrap(function)

        return checked

    def _permit(self, call: Call) -> Permitted | Refusal:
        text = call.action.text
        if self._is_closed or os.getpid() != self._process:
            # A fork shares the instance's name and its numbers with its parent, but not its lock.
            return Refusal("outcomes_locked")
        obstacle = self._reporter.obstacle
        if obstacle is not None:
            return Refusal(obstacle)
        given = call.presented.call_id
        call_id = given if given is not None and _CALL_ID.fullmatch(given) else f"call_{secrets.token_hex(13)}"
        with self._lock:
            if self._is_closed:
                return Refusal("outcomes_locked")
            # Otherwise a caller that repeats another's id would get the answer meant for that one.
            if call_id in self._deciding:
                return Refusal("call_in_progress")
            self._deciding.add(call_id)
        try:
            return self._decide(call, text, call_id)
        except BailiwickError as error:
            if error.code == "pdp_unavailable":
                return Refusal("pdp_unavailable")
            self._tell("internal", "a call could not be decided")
            return Refusal("internal")
        except Exception:
            self._tell("internal", "a call could not be decided")
            return Refusal("internal")
        finally:
            with self._decided:
                self._deciding.discard(call_id)
                self._decided.notify_all()

    def _decide(self, call: Call, text: str, call_id: str) -> Permitted | Refusal:
        action, digest = read_action(text), sha256(text)
        answer, body = self._pdp.call_again("/access/v1/evaluation", question(call, action, digest, call_id))
        claimed = claimed_in(answer, body)
        if isinstance(claimed, Refusal):
            return claimed
        permit = self._permits.redeem(claimed.permit, decision_id=claimed.decision_id, digest=digest, text=text)
        if isinstance(permit, str):
            # Nothing is reported: it may be the permit of another call, whose effect has happened.
            return Refusal(permit, claimed.decision_id)
        owed = owed_by(permit.obligations)
        if owed is None or not is_signed(claimed.conditions, permit.obligations):
            return self._not_executed(permit, call_id, "obligation_unknown")
        if owed.report_within is not None and time.time() >= permit.issued_at + owed.report_within + LEEWAY:
            return self._not_executed(permit, call_id, "obligation_failed")
        times = [each for each in (call.answer_seconds, owed.answer_within) if each is not None]
        life = CallLife(permit.decision_id, min(times, default=None))
        until = permit.expires_at + LEEWAY
        permitted = Permitted(action, permit.decision_id, call_id, permit.grant, owed, life, permit.action_hash, until)
        with self._lock:
            self._running[permit.decision_id] = permitted
        self._open_calls.add(life)
        return permitted

    def _not_begun(self, permitted: Permitted) -> Refusal | None:
        """Why the effect may not begin any more. The decision may be older than it looks: the loop was busy, or the point closed."""
        if permitted.life.may_begin(permitted.until):
            return None
        why = permitted.life.cut_reason
        self._report(permitted, _NOT_EXECUTED)
        return Refusal(why if why in REASONS or why in ERRORS else "call_not_begun", permitted.decision_id)

    def _not_executed(self, permit: Permit, call_id: str, reason: str) -> Refusal:
        named = {"decision_id": permit.decision_id, "call_id": call_id, "action_digest": permit.action_hash}
        self._reporter.report(named | _NOT_EXECUTED)
        return Refusal(reason, permit.decision_id)

    def _report(self, permitted: Permitted, said: JsonObject) -> None:
        # The effect or `close` reports the call: the one that ends it.
        if not permitted.life.end():
            return
        named = {"decision_id": permitted.decision_id, "call_id": permitted.call_id, "action_digest": permitted.action_hash}
        self._reporter.report(named | said)
        with self._lock:
            self._running.pop(permitted.decision_id, None)
        # `close` waits for this, so it comes last.
        self._open_calls.remove(permitted.life)

    def _report_unused(self, found: Permitted | Refusal | None) -> None:
        if isinstance(found, Permitted):
            self._report(found, _NOT_EXECUTED)

    def _report_error(self, permitted: Permitted, error: BaseException) -> None:
        cut = permitted.life.cut_reason
        code = error.code if isinstance(error, BailiwickError) else None
        if cut is not None and (code == "stream_cut" or not isinstance(error, Exception)):
            self._report(permitted, {"status": "unknown", "cut": cut})
        elif code in _NOT_BEGUN:
            self._report(permitted, _NOT_EXECUTED)
        else:
            # A task that is cancelled, or a process that must end, may have done a part.
            is_unclear = code in _UNCLEAR or not isinstance(error, Exception)
            self._report(permitted, {"status": "unknown" if is_unclear else "failed"})

    def _finished(
        self, permitted: Permitted, result: R, describe: Callable[[R], Effect] | None, *, holds_answer: bool = False
    ) -> Allowed[R]:
        """The effect has happened: a description that fails must not hide that, nor an answer that may not leave."""
        if is_work(result):
            give_up(result)
            self._report(permitted, {"status": "unknown"})
            raise TypeError("an effect gave back work that is still to be done: it would be done outside of its permit")
        said: JsonObject = {"status": "succeeded"}
        try:
            said |= {} if describe is None else describe(result).members()
        except Exception:
            self._tell("internal", "an effect could not be described")
        try:
            shown, length = (result, None) if holds_answer else hold(result, permitted.owed)
        except BailiwickError:
            self._report(permitted, said | {"egress_bytes": 0})
            raise
        self._report(permitted, ({} if length is None else {"egress_bytes": length}) | said)
        return Allowed(permitted.decision_id, permitted.call_id, shown)

    def _tell(self, code: str, detail: str) -> None:
        try:
            self._on_problem(BailiwickError(code, detail))
        except Exception:
            return


def _result_of(guarded: Allowed[R] | Refusal) -> R:
    if isinstance(guarded, Refusal):
        raise Denied(guarded)
    return guarded.result


def _log_problem(problem: BailiwickError) -> None:
    _log.warning("%s", problem)
