"""Measured is what the entry point imports, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

import sealroom
from sealroom.adapters.first_party import LEGACY_ROOTS, SERVICE_ROOTS, measured_modules

PACKAGE = Path(sealroom.__file__).resolve().parent


def _installed(tmp_path: Path, **modules: str) -> Path:
    """Write a package whose entry point is given; three underscores in a name stand for a folder."""
    package = tmp_path / "sealroom"
    written = {"__init__": "", "enclave/__init__": "", "enclave/start": "", "core/__init__": "", **modules}
    for name, text in written.items():
        path = package / f"{name.replace('___', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


@pytest.mark.parametrize(
    "text",
    [
        "import sealroom.core.used",
        "from sealroom.core import used",
        "from sealroom.core.used import value",
        "def later():\n    from sealroom.core import used",
        "try:\n    pass\nexcept ImportError:\n    import sealroom.core.used",
        "match 1:\n    case 1:\n        import sealroom.core.used",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import sealroom.core.used",
    ],
)
def test_what_is_imported_in_any_way_is_measured(tmp_path: Path, text: str) -> None:
    package = _installed(tmp_path, enclave___start=text, core___used="", core___idle="")
    assert measured_modules(package) == (
        "__init__.py",
        "core/__init__.py",
        "core/used.py",
        "enclave/__init__.py",
        "enclave/start.py",
    )


def test_imports_are_followed_and_rings_end(tmp_path: Path) -> None:
    package = _installed(
        tmp_path,
        enclave___start="import sealroom.core.first",
        core___first="import sealroom.core.second",
        core___second="import sealroom.core.first",
    )
    assert {"core/first.py", "core/second.py"} <= set(measured_modules(package))


def test_what_only_type_checkers_import_is_not_measured(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sealroom.core import idle"
    assert "core/idle.py" not in measured_modules(_installed(tmp_path, enclave___start=text, core___idle=""))


def test_an_import_of_what_is_not_installed_is_an_error_that_names_it(tmp_path: Path) -> None:
    package = _installed(tmp_path, enclave___start="import sealroom.core.gone")
    with pytest.raises(RuntimeError, match=r"sealroom\.core\.gone is missing"):
        measured_modules(package)


def test_a_relative_import_is_an_error_because_it_would_be_missed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in full"):
        measured_modules(_installed(tmp_path, enclave___start="from . import other"))


def test_nothing_of_other_zones_is_measured() -> None:
    measured = measured_modules(PACKAGE)
    assert {path.partition("/")[0] for path in measured} == {"__init__.py", "core", "enclave"}
    topics = {path.split("/")[1] for path in measured if path.startswith("core/")}
    assert topics == {"__init__.py", "errors.py", "sealing", "wire"}


def test_the_published_clients_form_is_measured_where_it_is_used_alone() -> None:
    added = set(measured_modules(PACKAGE, LEGACY_ROOTS)) - set(measured_modules(PACKAGE))
    assert {path.rpartition("/")[0] for path in added} == {"core/compat", "enclave/legacy"}
    assert {path for path in added if path.startswith("enclave/legacy/")} == {
        path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "enclave/legacy").glob("*.py")
    }


@pytest.mark.parametrize(
    "path",
    [
        "core/wire/ra_tls.py",
        "core/wire/service_arguments.py",
        "core/sealing/invitation.py",
        "core/sealing/words.py",
        "core/sealing/delivery_sealing.py",
        "core/wire/enclave.py",
    ],
)
def test_what_runs_at_home_or_in_services_only_is_not_measured(path: str) -> None:
    assert (PACKAGE / path).is_file()
    assert path not in measured_modules(PACKAGE)


def test_every_module_that_the_entry_point_loads_is_measured() -> None:
    """Python itself is asked, in a process that knows nothing else."""
    code = (
        f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
        "import sealroom.enclave.session, sealroom.enclave.program_api, sealroom.enclave.cosmian_lib_sgx\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.partition('.')[0] == 'sealroom'), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True)
    loaded = {Path(line).resolve().relative_to(PACKAGE).as_posix() for line in done.stdout.split()}
    assert loaded <= set(measured_modules(PACKAGE))


def test_services_measure_their_own_session_and_nothing_of_computations() -> None:
    measured = measured_modules(PACKAGE, SERVICE_ROOTS)
    assert {"enclave/service/session.py", "enclave/importer.py", "core/wire/ra_tls.py"} <= set(measured)
    others = {"enclave/session.py", "enclave/admission.py", "enclave/outputs.py", "enclave/program_api.py"}
    assert not others & set(measured)
    topics = {path.split("/")[1] for path in measured if path.startswith("core/")}
    assert topics == {"__init__.py", "errors.py", "sealing", "wire"}


def test_what_a_package_imports_when_it_is_asked_is_not_that_of_what_lies_in_it(tmp_path: Path) -> None:
    lazy = "def __getattr__(name):\n    from sealroom.enclave import other\n"
    package = _installed(tmp_path, enclave___service="import sealroom.core.used", enclave___other="")
    (package / "enclave/__init__.py").write_text(lazy)
    (package / "core").mkdir(exist_ok=True)
    for name in ("__init__", "used"):
        (package / f"core/{name}.py").write_text("")
    measured = measured_modules(package, ("sealroom.enclave.service",))
    assert "core/used.py" in measured
    assert "enclave/other.py" not in measured
