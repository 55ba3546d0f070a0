"""What the program of a computation will be able to do, from nothing but what is measured.

For people who decide whether their key goes into it. Every value comes from the arguments, the code list,
the manifest and the `requirements.txt` of evidence whose measurement holds; what only a participant knows,
its own inputs, comes from that participant. Must never take a name, a number or a size that only the server
says, nor report on evidence whose measurement was not compared.

Spec: docs/spec/capabilities.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sealroom.core.evidence.expectations import Expectations
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.verdict import Outcome, Verdict
from sealroom.core.evidence.verify import appraise_whole
from sealroom.core.measurement.packages import Wheels
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.code_list import CLEAR_PATHS
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.strict_json import JsonValue
from sealroom.core.wire.terms import Limits, LogRelease, Tee

# What makes the bundle's parts the measured ones, and the manifest, with all that it allows, this release's.
NEEDED_CHECKS = (
    "measurement.mrenclave",
    "measurement.arguments",
    "measurement.code-list",
    # Before the manifest, which has their files.
    "code.packages",
    "measurement.manifest",
    # In a simulated enclave nobody compares it, and the verdict says so.
    "measurement.runtime",
    "code.entry-point",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePart:
    """One file of the program. `is_readable` where everybody can read it; else only the enclave does."""

    path: str
    size: int
    is_readable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSource:
    """A Data Provider, all of whose data the program reads.

    `files` are `None` where only that provider knows them yet: they are committed to in its delivery, and
    named by the receipt.
    """

    email: str
    files: tuple[InputFile, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a program can read, how much of it can leave, for whom, and what it is made of.

    `entry_lines` is the length of `run.py`. `limits` are over all consumers together. `log_readers` are the
    addresses that can open the log, none where the release is `none`, and everybody besides where `public`.
    The rest is this release's, for every program alike: no network, no other process, no file but results.
    """

    computation: UUID
    tee: Tee
    code_by: str
    code: tuple[CodePart, ...]
    entry_lines: int
    packages: tuple[Requirement, ...]
    inputs: tuple[InputSource, ...]
    results_for: tuple[str, ...]
    logs: LogRelease
    log_readers: tuple[str, ...]
    limits: Limits

    def to_value(self) -> JsonValue:
        """Return the report as JSON."""
        return {
            "computation": str(self.computation),
            "tee": self.tee.value,
            "code": {
                "provider": self.code_by,
                "run_py_lines": self.entry_lines,
                "files": [
                    {"path": part.path, "bytes": part.size, "readable": part.is_readable}
                    for part in self.code
                ],
            },
            "packages": [
                {"name": package.name, "version": package.version, "sha256": package.sha256.hex()}
                for package in self.packages
            ],
            "inputs": [_input_value(source) for source in self.inputs],
            "results": {"consumers": list(self.results_for), "max_bytes": self.limits.max_output_bytes},
            "log": {
                "release": self.logs.value,
                "readers": list(self.log_readers),
                "max_bytes": 0 if self.logs is LogRelease.NONE else self.limits.max_log_bytes,
            },
            "max_seconds": self.limits.max_seconds,
            "max_memory_bytes": self.limits.max_memory,
            "network": "none",
            "processes": "none",
            "files": "results, and a temporary folder inside the enclave",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityReport:
    """A verdict, and what the program can do; `None` where the verdict leaves open what would run."""

    verdict: Verdict
    capabilities: Capabilities | None

    @property
    def because(self) -> str | None:
        """Why there is no report: the first needed check that did not pass."""
        return None if self.capabilities is not None else _missing(self.verdict)


def appraise_capabilities(
    bundle: bytes,
    *,
    policy: Policy,
    expected: Expectations | None,
    own_inputs: Mapping[bytes, InputList],
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> CapabilityReport:
    """Run every check of `appraise`, and say what the program can do if those that measure it passed.

    `own_inputs` are the inputs that the caller's own journal committed to, by public key. A refusal for
    another reason (a stale document, a policy) still has its report: it says what was measured. Raises
    `MalformedError` for what is no bundle, and nothing else.
    """
    whole = appraise_whole(
        bundle, policy=policy, expected=expected, release=release, wheels=wheels, roots=roots, now=now
    )
    arguments = whole.arguments
    if arguments is None or _missing(whole.verdict) is not None:
        return CapabilityReport(verdict=whole.verdict, capabilities=None)
    found = _capabilities(EvidenceBundle.from_bytes(bundle), arguments, own_inputs)
    return CapabilityReport(verdict=whole.verdict, capabilities=found)


def _missing(verdict: Verdict) -> str | None:
    outcomes = {check.name: check.outcome for check in verdict.checks}
    for name in NEEDED_CHECKS:
        if outcomes.get(name) not in (Outcome.PASSED, Outcome.SIMULATED):
            return name
    return None


def _capabilities(
    bundle: EvidenceBundle, arguments: Arguments, own_inputs: Mapping[bytes, InputList]
) -> Capabilities:
    terms, entry = arguments.terms, bundle.entry_point
    readers = () if terms.logs is LogRelease.NONE else tuple(p.email for p in arguments.participants)
    return Capabilities(
        computation=arguments.computation,
        tee=terms.tee,
        code_by=terms.code_provider,
        code=tuple(
            CodePart(path=file.path, size=file.size, is_readable=file.path in CLEAR_PATHS)
            for file in bundle.code_list.files
        ),
        entry_lines=entry.count(b"\n") + (not entry.endswith(b"\n") and bool(entry)),
        packages=parse_requirements(bundle.requirements or b""),
        inputs=tuple(
            _source(provider, own_inputs.get(provider.public_key))
            for provider in arguments.in_role(Role.DATA_PROVIDER)
        ),
        results_for=terms.result_consumers,
        logs=terms.logs,
        log_readers=tuple(dict.fromkeys(readers)),
        limits=terms.limits,
    )


def _source(provider: Participant, own: InputList | None) -> InputSource:
    return InputSource(email=provider.email, files=None if own is None else own.files)


def _input_value(source: InputSource) -> JsonValue:
    files = source.files
    return {
        "provider": source.email,
        "files": None if files is None else [{"name": file.name, "bytes": file.size} for file in files],
    }
