"""Zone 1, a participant's machine: the Python API of the four roles.

A map; names are loaded when they are first used:

- `Client`: a home folder and one server (`session`), which are a `Home` and a `ServerAddress`.
- `ComputationOwner`, `CodeProvider`, `DataProvider`, `ResultConsumer`: one class a role (`roles`), on top of
  what every member can do (`member`): status, code, evidence, verdict, delivery, refusal, receipt, logs.
- `Computation`: what the server says, as a frozen value (`computation`).
- `read_invitation`, `parse_arguments`, `load_policy`: from text to value.
- `Consent`, `DeliveryBlockedError`: how often a key may leave (`delivery_journal`, docs/spec/journal.md).
- `create_identity`, `load_identity`, `Contacts`: the home's own files.
- `connect`, `open_session`, `pinned_context`: calling a service with httpx or requests, over connections that
  are proven to end in its enclave, or with a client of your own, only pinned (`service.calling`).
- `Step`, `next_steps`: what a participant does next (`join`).

Must never: trust a server. Whatever it says is shown as its word, and what is decided rests on the home.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealroom.adapters.policies import load_policy as load_policy
    from sealroom.client.computation import Computation as Computation
    from sealroom.client.computation import State as State
    from sealroom.client.contacts import Contacts as Contacts
    from sealroom.client.delivery_journal import Consent as Consent
    from sealroom.client.delivery_journal import DeliveryBlockedError as DeliveryBlockedError
    from sealroom.client.home import Home as Home
    from sealroom.client.identity import create_identity as create_identity
    from sealroom.client.identity import load_identity as load_identity
    from sealroom.client.invitations import read_invitation as read_invitation
    from sealroom.client.join import Step as Step
    from sealroom.client.join import gather_facts as gather_facts
    from sealroom.client.join import next_steps as next_steps
    from sealroom.client.roles import CodeProvider as CodeProvider
    from sealroom.client.roles import ComputationDraft as ComputationDraft
    from sealroom.client.roles import ComputationOwner as ComputationOwner
    from sealroom.client.roles import DataProvider as DataProvider
    from sealroom.client.roles import ResultConsumer as ResultConsumer
    from sealroom.client.service.calling.connecting import connect as connect
    from sealroom.client.service.calling.connecting import pinned_context as pinned_context
    from sealroom.client.service.calling.requests_adapter import open_session as open_session
    from sealroom.client.session import Client as Client
    from sealroom.client.transport import ServerAddress as ServerAddress
    from sealroom.core.wire.arguments import parse_arguments as parse_arguments

_WHERE = {
    "Client": "sealroom.client.session",
    "CodeProvider": "sealroom.client.roles",
    "Computation": "sealroom.client.computation",
    "ComputationDraft": "sealroom.client.roles",
    "ComputationOwner": "sealroom.client.roles",
    "Consent": "sealroom.client.delivery_journal",
    "Contacts": "sealroom.client.contacts",
    "DataProvider": "sealroom.client.roles",
    "DeliveryBlockedError": "sealroom.client.delivery_journal",
    "Home": "sealroom.client.home",
    "ResultConsumer": "sealroom.client.roles",
    "ServerAddress": "sealroom.client.transport",
    "State": "sealroom.client.computation",
    "Step": "sealroom.client.join",
    "connect": "sealroom.client.service.calling.connecting",
    "create_identity": "sealroom.client.identity",
    "gather_facts": "sealroom.client.join",
    "load_identity": "sealroom.client.identity",
    "load_policy": "sealroom.adapters.policies",
    "next_steps": "sealroom.client.join",
    "open_session": "sealroom.client.service.calling.requests_adapter",
    "parse_arguments": "sealroom.core.wire.arguments",
    "pinned_context": "sealroom.client.service.calling.connecting",
    "read_invitation": "sealroom.client.invitations",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: importing the package opens nothing heavy."""
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return list(__all__)
