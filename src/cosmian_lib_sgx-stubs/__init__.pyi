# The enclave library under the name that programs for the published service import. It resolves inside an
# enclave alone; editors and type checkers find its types here.
from sealroom.enclave.program_api import Enclave as Enclave
from sealroom.enclave.program_api import UserError as UserError

__all__ = ["Enclave", "UserError"]
