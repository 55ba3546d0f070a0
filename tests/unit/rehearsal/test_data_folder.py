"""What Data Providers bring to a rehearsal: names, order and what is refused."""

from pathlib import Path

import pytest

from sealroom.core.errors import MalformedError
from sealroom.rehearsal.data_folder import read_data_folder


def fill(base: Path, *paths: str) -> Path:
    for path in paths:
        place = base / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"1,2\n")
    return base


def test_providers_and_inputs_are_sorted_by_name_as_bytes(tmp_path: Path) -> None:
    folder = fill(tmp_path, "b/z.csv", "b/Z.csv", "a/x.csv", "a/é.csv", "ana@example.org/1.csv")
    found = read_data_folder(folder)
    assert [provider.name for provider in found] == ["a", "ana@example.org", "b"]
    assert [[file.name for file in provider.files] for provider in found] == [
        ["x.csv", "é.csv"],
        ["1.csv"],
        ["Z.csv", "z.csv"],
    ]


def test_a_folder_named_like_an_address_goes_by_it(tmp_path: Path) -> None:
    found = read_data_folder(fill(tmp_path, "ana@example.org/x", "Bea/x"))
    assert [provider.email for provider in found] == ["data-provider-0@code.test", "ana@example.org"]


def test_the_order_can_be_chosen_and_names_every_folder_once(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/x", "b/x", "c/x")
    assert [p.name for p in read_data_folder(folder, ("c", "a", "b"))] == ["c", "a", "b"]
    for order in (("c", "a"), ("c", "a", "b", "b"), ("c", "a", "d")):
        with pytest.raises(MalformedError, match="expected each of a, b, c once"):
            read_data_folder(folder, order)


def test_hidden_files_stay_out_and_an_empty_folder_is_a_provider_without_inputs(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/.DS_Store", ".git/config", ".hidden")
    (found,) = read_data_folder(folder)
    assert (found.name, found.files) == ("a", ())


def test_no_folder_and_no_such_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="has no folder in it: make one for each Data Provider"):
        read_data_folder(tmp_path)
    with pytest.raises(MalformedError, match="cannot be read"):
        read_data_folder(tmp_path / "gone")


def test_a_name_that_no_input_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="data folder: a: input name"):
        read_data_folder(fill(tmp_path, "a/line\nbreak.csv"))
