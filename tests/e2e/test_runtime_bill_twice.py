"""The bill of materials made twice from Debian's own packages: another folder, time, locale and hash seed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealroom.adapters.gramine import Gramine
from sealroom.adapters.host_checks import installed_pal, this_host
from sealroom.adapters.release import load_release
from sealroom.adapters.runtime_packages import stage_runtime
from sealroom.adapters.sgx_self_test import NAME, prepare_self_test
from sealroom.core.measurement.runtime_bill import RuntimeBill, parse_runtime_bill
from sealroom.core.measurement.signing_key import new_enclave_signing_key

_TOOL = Path(__file__).resolve().parents[2] / "tools/make_runtime_bill.py"

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _made(folder: Path, **environment: str) -> bytes:
    output = folder.with_suffix(".bill")
    command = [sys.executable, str(_TOOL), str(folder), "--download", "-o", str(output)]
    made = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, cwd=folder.parent
    )
    if made.returncode and "CalledProcessError" in made.stderr:
        pytest.skip(f"packages cannot be downloaded here: {made.stderr.strip().splitlines()[-1]}")
    assert made.returncode == 0, made.stderr
    return output.read_bytes()


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not here: no Debian packages")
def test_two_people_make_the_same_bill_and_a_runtime_that_runs(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    first = _made(tmp_path / "one", TZ="UTC", PYTHONHASHSEED="1")
    second_folder = tmp_path / "elsewhere/another name"
    second = _made(second_folder, TZ="Asia/Tokyo", PYTHONHASHSEED="2", LC_ALL="C")
    for path in second_folder.iterdir():
        os.utime(path, (1, 1))
    assert first == second

    bill = parse_runtime_bill(first)
    ours = load_release().sgx_runtime
    assert ours is not None
    if bill.packages == ours.packages:
        # Debian has published nothing newer: the bill of the release is this very one.
        assert bill == ours

    staged = tmp_path / "staged"
    stage_runtime(bill, packages=second_folder, target=staged)
    runtime = staged / "runtime"
    program = "import os, sys; sys.path.append(os.path.dirname(os.__file__) + '/site-packages')\n"
    program += "import nacl.bindings, ssl, sqlite3, lzma, bz2, ctypes, decimal, uuid; print(os.__file__)"
    command = [
        runtime / "lib/ld-linux-x86-64.so.2",
        "--argv0",
        "python3",
        runtime / "bin/python3",
        "-I",
        "-S",
        "-B",
    ]
    ran = subprocess.run(
        [*command, "-c", program],
        env={"PATH": str(runtime / "bin"), "LD_LIBRARY_PATH": str(runtime / "lib")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip() == str(runtime / "lib/python3.11/os.py")
    _starts_in_gramine(tmp_path / "enclave", bill, packages=second_folder)


def _starts_in_gramine(folder: Path, bill: RuntimeBill, *, packages: Path) -> None:
    """Without SGX the self-test's enclave runs up to the request for a quote, where Gramine is installed."""
    program, pal = shutil.which("gramine-direct"), installed_pal(this_host())
    if program is None or pal is None:
        print("gramine-direct is not on the PATH: the runtime was not tried in Gramine")
        return
    key = new_enclave_signing_key()
    gramine = Gramine.of(pal)
    prepare_self_test(folder, bill=bill, packages=packages, gramine=gramine, signer=key, date="2025-01-31")
    shutil.copyfile(folder / f"{NAME}.manifest.sgx", folder / f"{NAME}.manifest")
    ran = subprocess.run([program, NAME], cwd=folder, capture_output=True, text=True, check=False)
    assert "/dev/attestation/user_report_data" in ran.stdout
    assert (folder / "spool/started").read_text().startswith("3.11.")
