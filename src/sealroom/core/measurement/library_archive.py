"""The Python modules of a runtime as one archive, which the interpreter imports from where it always looks.

What for: each measured file is listed, opened and hashed by itself, and the standard library is some hundreds
of small ones. Extension modules must be files, and so must `os.py`, by which Python finds its library.

The same modules make the same bytes, on any machine and at any time: nothing is compressed, names are in
order, and every date is the first that the format has. Spec: docs/spec/runtime-bill.md, "The archive".
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath

_LANDMARK = "os.py"
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READ_ONLY = 0o100444


def belongs_into_archive(path: PurePosixPath) -> bool:
    """Say whether a file of the standard library, by its path below it, is imported from the archive."""
    return path.suffix == ".py" and str(path) != _LANDMARK


def library_archive(modules: Mapping[str, bytes]) -> bytes:
    """Return the archive of `modules`: their sources by their paths in it."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for path, source in sorted(modules.items()):
            entry = zipfile.ZipInfo(path, _FIRST_DATE)
            entry.create_system, entry.external_attr = _UNIX, _READ_ONLY << 16
            archive.writestr(entry, source)
    return written.getvalue()
