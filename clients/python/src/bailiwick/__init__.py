"""Ask for a task, act under it, and guard an API: the Python SDK of Bailiwick."""

from ._auth import denial_of
from ._credentials import Attestation, Credential, join_token
from ._delegating import SignedDelegation
from .action import Action, Resource, tool
from .agent import Agent, AsyncAgent
from .errors import BailiwickError
from ._outcome_file import OutcomeFile, OutcomesInMemory
from .keys import SigningKey, agent_key, generate_key, read_key_file
from .point import Allowed, Call, Effect, EnforcementPoint, Permitted
from .presented import Presented, read_presented
from .refusal import Denied, Refusal
from .tasks import AccessItem, AccessTask, Ask, Denial, SignedRequest, permission, task
from .trust import Trust, parse_trust, read_trust

__all__ = [
    "AccessItem",
    "AccessTask",
    "Action",
    "Agent",
    "Allowed",
    "Ask",
    "AsyncAgent",
    "Attestation",
    "BailiwickError",
    "Call",
    "Credential",
    "Denial",
    "Denied",
    "Effect",
    "EnforcementPoint",
    "OutcomeFile",
    "OutcomesInMemory",
    "Permitted",
    "Presented",
    "Refusal",
    "Resource",
    "SignedDelegation",
    "SignedRequest",
    "SigningKey",
    "Trust",
    "agent_key",
    "denial_of",
    "generate_key",
    "join_token",
    "parse_trust",
    "permission",
    "read_key_file",
    "read_presented",
    "read_trust",
    "task",
    "tool",
]
