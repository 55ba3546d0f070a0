"""Zone 3, inside the TEE. For programs: `from sealroom.enclave import Enclave`.

A map of the session, in the order of its steps (docs/spec/enclave-session.md):

- ``session``: the numbered flow; ``identity``: keys bound to the quote.
- ``waiting``, ``admission``: deliveries, one by one. ``committed_inputs``, ``program_code``: checked once.
- ``opening``: the receipt's first half, and the wiping; ``running``: what is left of the secrets.
- ``program``, ``importer``, ``program_api``, ``inputs``, ``outputs``: the Code Provider's program and what it
  sees. ``inputs_filesystem`` is for DuckDB, ``cosmian_lib_sgx`` for programs of the published service.
- ``form``: where the form of delivery matters; ``legacy``: the published client's.
- ``log_capture``, ``limits``, ``failure``: what may leave of a run, and how much.

``messages`` is the only way to files of the host. Nothing here may import quote verification.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealroom.enclave.program_api import Enclave, UserError

__all__ = ["Enclave", "UserError"]


def __getattr__(name: str) -> object:
    # Loaded when a program asks: importing a part of this package must not load the rest.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sealroom.enclave import program_api

    return getattr(program_api, name)
