import hashlib

from sealroom.adapters.hashing import hash_files
from sealroom.adapters.release import first_party_sources, load_release
from sealroom.core.wire.terms import DeliveryForm, Tee
from sealroom.insecure.synthetic_pal import synthetic_pal


def test_release_knows_the_synthetic_pal() -> None:
    release = load_release()
    pal = release.pal_for(Tee.SIMULATED)
    assert pal is not None
    assert pal.sha256 == hashlib.sha256(synthetic_pal()).digest()
    assert release.known_pal(pal.sha256) is pal
    assert release.known_pal(bytes(32)) is None
    assert release.pal_for(Tee.SGX) is None


def test_first_party_files_are_the_enclave_and_its_part_of_the_core() -> None:
    release = load_release()
    paths = {file.path for file in release.first_party}
    assert "start.py" in paths
    assert "lib/sealroom/core/wire/arguments.py" in paths
    assert "lib/sealroom/enclave/__init__.py" in paths
    assert "lib/sealroom/enclave/start.py" not in paths
    folders = {path.split("/")[2] for path in paths if path != "start.py" and path.count("/") > 2}
    assert folders == {"core", "enclave"}
    topics = {
        path.split("/")[3] for path in paths if path.startswith("lib/sealroom/core/") and path.count("/") > 3
    }
    assert topics == {"sealing", "wire"}


def test_digests_are_of_the_installed_files() -> None:
    sources = first_party_sources(DeliveryForm.LEGACY)
    for file in load_release().legacy_first_party:
        assert hashlib.sha256(sources[file.path].read_bytes()).digest() == file.sha256


def test_files_are_hashed_in_order(tmp_path) -> None:
    paths = [tmp_path / str(n) for n in range(20)]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    assert hash_files(paths) == [hashlib.sha256(path.read_bytes()).digest() for path in paths]
