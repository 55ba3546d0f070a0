"""What Code Providers import, under files, filter and audit hook of the sandbox without bubblewrap.

The libraries are those of this environment; a whole enclave has those that its participants agreed to.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealroom.insecure.confinement import Confinement, is_possible
from sealroom.insecure.landlock import FileRules, landlock_version
from sealroom.insecure.namespaces import Mounts
from sealroom.insecure.seccomp import filter_for

pytestmark = pytest.mark.e2e

SRC = Path(__file__).parents[3] / "src"
READABLE = (sys.prefix, sys.base_prefix, str(SRC), "/usr", "/lib", "/lib64", "/proc/self")
PROGRAM = """
import json, os, sys, warnings
sys.path.insert(0, {src!r})
from sealroom.enclave import audit_hook, messages
audit_hook.install(audit_hook.Boundaries(
    measured=(sys.prefix, sys.base_prefix), scratch=({scratch!r},), closed=({spool!r},), own=(messages,),
))
{program}
print(json.dumps(outcome))
"""
SCIKIT_LEARN = """
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import joblib
    from joblib.externals.loky import cpu_count
    processors = cpu_count(only_physical_cores=True)
said = " ".join(str(each.message) for each in said)
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
import threadpoolctl
x, y = make_classification(random_state=0)
outcome = {
    "processors": processors > 0,
    "no process": "starts no processes" in said,
    "one after the other": "serial mode" in said,
    "logistic": LogisticRegression().fit(x, y).score(x, y) > 0.8,
    "forest": RandomForestClassifier(n_jobs=2, n_estimators=4).fit(x, y).score(x, y) > 0.8,
    "folds": len(cross_val_score(LogisticRegression(), x, y, n_jobs=2)) == 5,
    "libraries": len(threadpoolctl.threadpool_info()) > 0,
}
"""
DUCKDB = """
import duckdb
def copy_to(path):
    try:
        duckdb.sql(f"copy (select 42 as x) to '{path}' (format csv)")
    except (duckdb.IOException, duckdb.PermissionException) as exc:
        return "refused"
    return "done"
outcome = {
    "scratch": copy_to(SCRATCH + "/a.csv"),
    "back": duckdb.sql(f"select x from '{SCRATCH}/a.csv'").fetchall(),
    "elsewhere": copy_to(OTHER + "/a.csv"),
    "inbox": copy_to(SPOOL + "/inbox/a.csv"),
}
"""


@contextmanager
def _nothing_written(folder: Path) -> Iterator[None]:
    yield
    assert list(folder.rglob("a.csv")) == []


def _run(tmp_path: Path, program: str) -> dict[str, object]:
    """Run a program as the sandbox without bubblewrap starts an enclave, and return what it says."""
    spool, scratch, other = tmp_path / "spool", tmp_path / "scratch", tmp_path / "other"
    for folder in (spool / "inbox", scratch, other):
        folder.mkdir(parents=True)
    confinement = Confinement(
        limits=(),
        no_new_privileges=True,
        isolate=True,
        mounts=Mounts(
            shared=(spool,),
            read_only=(spool / "inbox",),
            memory=scratch,
            max_memory=64 << 20,
            hidden=(Path("/sys"),),
        ),
        files=FileRules(
            readable=tuple(
                map(
                    Path,
                    (sys.prefix, sys.base_prefix, str(SRC), "/usr", "/lib", "/lib64", "/etc", "/proc/self"),
                )
            ),
            usable=(Path("/dev/null"), Path("/dev/urandom")),
            changeable=(spool, scratch),
        ),
        seccomp=filter_for(),
    )
    if not landlock_version() or not is_possible(confinement):
        pytest.skip("this machine has no user namespaces or no Landlock")
    names = {"SPOOL": str(spool), "SCRATCH": str(scratch), "OTHER": str(other)}
    text = PROGRAM.format(
        src=str(SRC),
        spool=str(spool),
        scratch=str(scratch),
        program="".join(f"{name} = {value!r}\n" for name, value in names.items()) + program,
    )
    with _nothing_written(tmp_path):
        done = subprocess.run(
            [sys.executable, "-B", "-c", text],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"TMPDIR": str(scratch), "HOME": str(scratch)},
            preexec_fn=confinement.apply,
        )
    assert done.returncode == 0, done.stderr
    outcome: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return outcome


@pytest.mark.slow
def test_scikit_learn_works_under_filter_and_hook(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    outcome = _run(tmp_path, SCIKIT_LEARN)
    assert outcome == dict.fromkeys(outcome, True)


def test_duckdb_copies_into_the_temporary_folder_alone(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    assert _run(tmp_path, DUCKDB) == {
        "scratch": "done",
        "back": [[42]],
        "elsewhere": "refused",
        "inbox": "refused",
    }
