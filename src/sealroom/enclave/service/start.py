"""The measured entry point of a service, run as `python3 -I -S -B /sealroom/start.py` with its arguments.

It puts the fixed, measured folders on the module path and calls the service's session; it decides nothing.
Spec: docs/spec/services.md, "In the enclave".
"""

import os
import sys
from pathlib import Path


def main() -> int:
    """Run one service; returns the exit code: 0 ended when asked, 1 not provisioned or failed, 2 no start."""
    base = Path(__file__).absolute().parent
    # With -I and -S, Python itself knows the standard library and nothing else.
    runtime_packages = Path(os.__file__).parent / "site-packages"
    # Packages come last: nothing in them can take the place of what the release has measured.
    sys.path += [str(base / "lib"), str(runtime_packages), str(base / "packages")]

    from sealroom.enclave.service.session import run_service

    return run_service(base, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
