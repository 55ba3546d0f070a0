"""The measured entry point, run as `python3 -I -S -B /sealroom/start.py` with the measured arguments.

It puts the fixed, measured folders on the module path and calls the enclave's session; it decides nothing.
Spec: docs/spec/enclave-session.md, "Start".
"""

import os
import sys
from pathlib import Path


def main() -> int:
    """Run one session; returns the exit code: 0 succeeded, 1 refused or failed, 2 could not start."""
    base = Path(__file__).absolute().parent
    # With -I and -S, Python itself knows the standard library and nothing else.
    runtime_packages = Path(os.__file__).parent / "site-packages"
    # Packages come last: nothing in them can take the place of what the release has measured.
    sys.path += [str(base / "lib"), str(runtime_packages), str(base / "packages")]

    from sealroom.enclave.session import run_session

    return run_session(base, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
