"""The bill of materials that a client compares with: the installed one, or the user's own in the home."""

from pathlib import Path

import pytest

from sealroom.adapters.release import load_release
from sealroom.client.home import Home
from sealroom.client.verification import own_release
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.runtime_bill import PackageKind, RuntimeBill, RuntimeFile, RuntimePackage

OWN = RuntimeBill(
    (
        RuntimePackage(
            kind=PackageKind.DEB, name="python", version="1", architecture="amd64", sha256=bytes(32)
        ),
    ),
    (RuntimeFile(path="runtime/bin/python3", sha256=bytes(32), package="python"),),
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


_PALS = f"""
format = 1
[[pal]]
name = "a Gramine"
source = "a package"
tee = "sgx"
sha256 = "{"1" * 64}"
libos_uri = "file:gramine/libsysdb.so"
libos_sha256 = "{"2" * 64}"
"""


def test_pals_in_the_home_are_known_beside_the_installed_ones(home: Home) -> None:
    home.known_pals.write_text(_PALS)
    release = own_release(home)
    assert [pal.name for pal in release.pals] == [*(pal.name for pal in load_release().pals), "a Gramine"]
    assert own_release(None).known_pal(release.pals[-1].sha256) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [("[", "known pals"), (_PALS.replace('"sgx"', '"simulated"'), "PALs for SGX alone")],
)
def test_a_list_of_pals_that_is_another_is_refused_and_not_passed_over(
    home: Home, text: str, said: str
) -> None:
    home.known_pals.write_text(text)
    with pytest.raises(MalformedError, match=said):
        own_release(home)
    home.known_pals.unlink()
    home.known_pals.symlink_to(home.root / "gone")
    with pytest.raises(FileNotFoundError):
        own_release(home)


def test_the_installed_bill_is_used_where_the_home_has_none(home: Home) -> None:
    assert own_release(home) == own_release(None) == load_release()


def test_a_bill_in_the_home_takes_the_place_of_the_installed_one(home: Home) -> None:
    home.runtime_bill.write_bytes(OWN.to_bytes())
    release = own_release(home)
    assert release.sgx_runtime == OWN
    assert (release.pals, release.first_party) == (load_release().pals, load_release().first_party)


def test_a_bill_in_the_home_that_cannot_be_read_is_refused_and_not_passed_over(home: Home) -> None:
    home.runtime_bill.write_bytes(OWN.to_bytes()[:-1])
    with pytest.raises(MalformedError, match="runtime bill"):
        own_release(home)


def test_a_link_to_a_bill_that_is_gone_is_not_passed_over(home: Home) -> None:
    home.runtime_bill.symlink_to(home.root / "gone")
    with pytest.raises(FileNotFoundError):
        own_release(home)
