"""The simulated TEE as an enclave meets it: its device, and what it refuses to start."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.attestation.roots import SIMULATION_QE_VENDOR_ID
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.wire.bundle import RawCollateral
from sealroom.core.wire.terms import Tee
from sealroom.server.launchers.base import LaunchState
from sealroom.server.launchers.host_files import EndReason

pytestmark = pytest.mark.e2e

NOT_STARTED = 125
ONE_QUOTE = "attest()\n"


def test_an_enclave_gets_its_own_report_and_a_quote_over_its_report_data(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    launch.start()
    ended = launch.wait_until_ended()
    assert (ended.exit.reason, ended.exit.exit_code) == (EndReason.EXITED, 0)
    expected = measure((launch.folder / "manifest.sgx").read_bytes(), (launch.folder / "pal").read_bytes())
    quote = parse_quote((launch.spool / "quote").read_bytes())
    assert isinstance(quote.body, SgxReport)
    assert quote.body.mrenclave == expected.mrenclave
    assert quote.body.report_data == bytes(range(64))
    assert quote.header.qe_vendor_id == SIMULATION_QE_VENDOR_ID
    assert (launch.spool / "public").read_bytes()[:32] == expected.mrenclave


def test_the_collateral_is_what_a_bundle_takes(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    launch.start()
    launch.wait_until_ended()
    collateral = RawCollateral.from_json((launch.folder / "collateral.json").read_bytes())
    assert "SIMULATION" in collateral.tcb_info_issuer_chain or collateral.tcb_info


def test_every_reader_gets_one_whole_answer(make_launch: Callable) -> None:
    launch = make_launch(
        "attest()\nsizes = {len(read('quote')) // 1000 for _ in range(40)}\n"
        "publish('log', repr(sizes).encode())\n"
    )
    launch.start()
    assert launch.wait_for("log") == b"{4}"


@pytest.mark.slow
def test_nothing_is_quoted_before_report_data_was_written(make_launch: Callable) -> None:
    launch = make_launch("publish('log', repr((read('quote'), read('report'))).encode())")
    launch.start()
    assert launch.wait_for("log") == b"(b'', b'')"


@pytest.mark.slow
def test_report_data_of_another_size_is_not_quoted(make_launch: Callable) -> None:
    launch = make_launch(
        "attest()\nwrite('user_report_data', b'x' * 63)\npublish('log', read('quote') or b'none')"
    )
    launch.start()
    assert launch.wait_for("log") == b"none"


@pytest.mark.slow
def test_the_last_report_data_counts(make_launch: Callable) -> None:
    program = "write('user_report_data', b'1' * 64)\nwrite('user_report_data', b'2' * 64)\n"
    launch = make_launch(program + "publish('quote', read('quote'))")
    launch.start()
    assert parse_quote(launch.wait_for("quote")).body.report_data == b"2" * 64


@pytest.mark.slow
def test_no_report_for_another_target(make_launch: Callable) -> None:
    launch = make_launch(
        "attest()\nwrite('target_info', b'x' * 512)\npublish('log', read('report') or b'none')"
    )
    launch.start()
    assert launch.wait_for("log") == b"none"


def _refused(launch: object) -> str:
    launch.start()
    ended = launch.wait_until_ended()
    assert (ended.state, ended.exit.exit_code) == (LaunchState.ENDED, NOT_STARTED)
    assert not (launch.folder / "attestation").exists()
    return launch.log()


def test_a_changed_trusted_file_is_named(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    (launch.folder / "code" / "run.py").write_text("print('changed')\n")
    found = hashlib.sha256(b"print('changed')\n").hexdigest()
    assert f"trusted file code/run.py: got sha256 {found}, the manifest names" in _refused(launch)


@pytest.mark.slow
def test_a_missing_trusted_file_is_named(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    (launch.folder / "code" / "run.py").unlink()
    assert "trusted file code/run.py: cannot be read: No such file" in _refused(launch)


def test_a_file_that_is_not_in_the_manifest_is_named(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    (launch.folder / "lib" / "json.py").write_text("print('in the way of the real one')\n")
    assert "file lib/json.py: in a measured folder, and not in the manifest" in _refused(launch)


@pytest.mark.slow
def test_a_link_in_a_measured_folder_is_refused(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    (launch.folder / "packages" / "there").symlink_to("/etc")
    assert "file packages/there: in a measured folder, and not in the manifest" in _refused(launch)


@pytest.mark.slow
def test_another_pal_is_refused(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    pal = bytearray((launch.folder / "pal").read_bytes())
    pal[-1] ^= 1
    (launch.folder / "pal").write_bytes(pal)
    assert "trusted file pal: got sha256" in _refused(launch)


def test_arguments_for_a_real_enclave_are_refused(make_launch: Callable) -> None:
    assert "tee is sgx, and this TEE is simulated" in _refused(make_launch(ONE_QUOTE, tee=Tee.SGX))


@pytest.mark.slow
def test_two_launches_never_share_an_mrenclave(make_launch: Callable) -> None:
    first, second = make_launch(ONE_QUOTE), make_launch(ONE_QUOTE)
    for launch in (first, second):
        launch.start()
        launch.wait_until_ended()
    quotes = [parse_quote((launch.spool / "quote").read_bytes()) for launch in (first, second)]
    assert quotes[0].body.mrenclave != quotes[1].body.mrenclave


@pytest.mark.slow
def test_nobody_can_overlook_the_banner(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    launch.start()
    launch.wait_until_ended()
    assert "SIMULATED ENCLAVE" in launch.log()


@pytest.mark.slow
def test_the_console_keeps_a_bounded_part(make_launch: Callable) -> None:
    launch = make_launch("attest()\nprint('x' * 1_000_000)\n")
    launch.start()
    assert launch.wait_until_ended().exit.exit_code == 0
    assert len(launch.console()) == 64 * 1024


@pytest.mark.slow
def test_the_private_keys_of_the_simulation_are_not_in_the_launch_folder(make_launch: Callable) -> None:
    launch = make_launch(ONE_QUOTE)
    launch.start()
    launch.wait_until_ended()
    files = [path for path in Path(launch.folder).rglob("*") if path.is_file()]
    assert not [path for path in files if b"PRIVATE KEY" in path.read_bytes()]
