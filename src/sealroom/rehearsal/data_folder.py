"""What the Data Providers of a rehearsal bring: one folder each, with their files in it.

Must never take a file for another provider's, nor leave one out without a word.
Spec: docs/spec/rehearsal.md, "The data folder".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealroom.core.errors import MalformedError
from sealroom.core.wire.names import check_file_name
from sealroom.core.wire.participants import check_email

_SUFFIX = "code.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFolder:
    """One Data Provider: the folder's name, the address it goes by, and its files in order."""

    name: str
    email: str
    files: tuple[Path, ...]


def read_data_folder(folder: Path, order: Sequence[str] = ()) -> tuple[ProviderFolder, ...]:
    """Return the Data Providers of `folder`, in the `order` of their names, or sorted.

    Hidden files are left out. Raises `MalformedError` for a file beside the folders, a folder inside one, a
    name that no input can have, no folder at all, and an order that is not one of them.
    """
    places = _visible(folder)
    loose = [place.name for place in places if not place.is_dir()]
    if loose:
        raise MalformedError(
            f"data folder: {loose[0]} lies beside the folders: put the files of each Data Provider into a "
            f"folder of its own, such as {folder / 'hospital-a'}"
        )
    if not places:
        raise MalformedError(
            f"data folder: {folder} has no folder in it: make one for each Data Provider, with its files"
        )
    names = [place.name for place in places]
    if order and sorted(order) != sorted(names):
        raise MalformedError(f"data folder: expected each of {', '.join(names)} once, got {', '.join(order)}")
    return tuple(_provider(folder / name, index) for index, name in enumerate(order or names))


def _provider(folder: Path, index: int) -> ProviderFolder:
    files = _visible(folder)
    for file in files:
        if not file.is_file():
            raise MalformedError(
                f"data folder: {folder.name}/{file.name} is no file: inputs have names, and no folders"
            )
        check_file_name(file.name, field=f"data folder: {folder.name}: input name")
    return ProviderFolder(name=folder.name, email=_email(folder.name, index), files=files)


def _visible(folder: Path) -> tuple[Path, ...]:
    try:
        found = [place for place in folder.iterdir() if not place.name.startswith(".")]
    except OSError as error:
        raise MalformedError(f"data folder: {folder} cannot be read: {error.strerror}") from error
    return tuple(sorted(found, key=lambda place: place.name.encode(errors="surrogateescape")))


def _email(name: str, index: int) -> str:
    """Return the folder's name where it is an address, else one made up for its place."""
    try:
        check_email(name)
    except MalformedError:
        return f"data-provider-{index}@{_SUFFIX}"
    return name
