"""The library under the name that programs for the published service import, `cosmian_lib_sgx`.

It resolves inside an enclave and nowhere else. Spec: docs/spec/enclave-session.md, "What a program sees".
"""

from sealroom.enclave.program_api import Enclave, UserError

__all__ = ["Enclave", "UserError"]
