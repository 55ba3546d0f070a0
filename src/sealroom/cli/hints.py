"""What to do next, by stable code: the server's codes, the client's, and the commands' own.

A sentence here is a promise: what it names exists, takes these words, and helps with just this error.
`{computation}` stands for the UUID that the failed command named.
"""

from __future__ import annotations

_STATUS = "sealroom status {computation} shows where it stands"
_RETRY = "the same command once more; if it stays, tell the server's operator"
_JOIN = "sealroom register INVITATION, with the owner's invitation"
_MINE = "sealroom status {computation} names who has which role"
_SEND_DATA = "sealroom data send {computation} FILE..., then sealroom data done {computation}"
_DECIDE = (
    "if another run is what you want: sealroom key deliver {computation} --policy POLICY --max-enclaves N"
)
_VERIFY_AGAIN = (
    "sealroom key deliver {computation} --policy POLICY verifies the present enclave and delivers to it"
)

SERVER_HINTS: dict[str, str | None] = {
    "unreachable": "check the address, and that `sealroom server` is running there",
    # The request itself
    "malformed": None,
    "not_found": "check that client and server are of one release: sealroom --version",
    "method_not_allowed": "check that client and server are of one release: sealroom --version",
    "too_large": "the operator's limits stand at the server's address under /v1/server",
    "range_not_satisfiable": _RETRY,
    "internal": _RETRY,
    # Who asks
    "unauthorized": "sealroom account list shows your accounts; sealroom account create makes one",
    "email_taken": "use the home folder that made this account (--home), or another address",
    "wrong_role": _MINE,
    # Repeated requests
    "idempotency_key": _RETRY,
    "idempotency_key_reused": _RETRY,
    # Computations
    "unknown_computation": "check that your account's address is the one that the owner invited: "
    "sealroom account list",
    "computation_exists": "the same command once more makes another UUID",
    "unsupported": "ask the server's operator for what it can launch, or choose another --tee",
    "wrong_state": _STATUS,
    # Keys of participants
    "key_taken": "each person needs a home of their own (--home): one key stands for one address",
    "key_differs": "use the home folder that you registered with (--home)",
    "not_registered": _JOIN,
    # Code
    "archive": "sealroom code send {computation} FOLDER, with plain files and folders only",
    "entry_missing": "put run.py into the folder: it runs first, and everybody reads it",
    "requirements": "sealroom lock FOLDER writes requirements.txt in the one form that is taken",
    "wheels_missing": "sealroom code send {computation} FOLDER sends the wheels, too",
    "wheels_refused": "sealroom lock FOLDER --help says which wheels an enclave takes",
    "unknown_wheel": "the Code Provider sends it: sealroom code send {computation} FOLDER",
    "code_signature": "sealroom code send {computation} FOLDER, from the home that you registered with",
    "no_code": "the Code Provider sends it: sealroom code send {computation} FOLDER",
    # Data
    "unknown_upload": _SEND_DATA,
    "upload_differs": _SEND_DATA,
    "upload_offset": "the same command goes on where the upload stopped",
    "upload_busy": "another command of yours uploads this file: wait for it, then call this one again",
    "upload_digest": "sealroom data send {computation} FILE once more",
    "upload_incomplete": "sealroom data done {computation} finishes the uploads first",
    "too_many_uploads": "sealroom data remove {computation} NAME takes one back",
    "data_differs": "what you said done stays: sealroom status {computation}",
    "data_delivered": "your key was delivered for the present data; " + _STATUS,
    "data_not_done": "sealroom data done {computation}",
    # Key deliveries
    "no_evidence": "no enclave of this launch showed evidence; " + _STATUS,
    "delivery_length": _VERIFY_AGAIN,
    "delivery_agreement": _VERIFY_AGAIN,
    "delivery_mrenclave": _VERIFY_AGAIN,
    "delivery_keys": _VERIFY_AGAIN,
    "delivery_sender": "use the home folder that you registered with (--home)",
    "delivery_not_yours": "use the home folder that you registered with (--home)",
    "delivery_commitment": "sealroom data done {computation}, from the home that sent the data",
    "delivery_signature": "use the home folder that you registered with (--home)",
    "delivery_slot": "your key was delivered to this enclave already; " + _STATUS,
    "too_many_deliveries": "the owner can launch again: sealroom computation relaunch {computation}",
    # What came out
    "no_receipt": "an enclave signs it when the run begins; " + _STATUS,
    "no_log": "there is one only after a run whose owner chose so; " + _STATUS,
    "unknown_result": "sealroom results get {computation} fetches those that the receipt names",
}

CLIENT_HINTS: dict[str, str | None] = {
    # Services
    "no_service": "sealroom service list --data FOLDER shows those of an operator's folder",
    "service_exists": "sealroom service restart NAME starts it anew; stop NAME --remove makes room",
    "service_failed": "sealroom service logs NAME has what it said",
    "service_refused": "sealroom service evidence NAME, for the code provider to seal to this start",
    "no_data": "name the operator's folder with --data; sealroom service spawn makes one",
    "port_taken": "end what listens there, then sealroom service restart NAME; or sealroom service stop NAME "
    "--remove, and spawn with another --port",
    "already_runs": "sealroom service restart NAME makes a new enclave, to which its key is sealed anew",
    "not_attested": "sealroom service status NAME shows what it is doing",
    "refused": None,
    "failed": None,
    "collateral": "the server fetches Intel's documents: ask its operator, or give --at for the past",
    "source": "name other sources with --source, and a PCCS's own certificate with --source-ca",
    "service": "check the address: a service that speaks TLS must answer there",
    "file": None,
    "defect": "please report it with the command; SEALROOM_TRACEBACK=1 shows where it happened",
    "interrupted": "the same command goes on where this one stopped",
    "home": "a private folder of your own: chmod 700 FOLDER, or name another with --home",
    "identity": "sealroom keygen makes a key where there is none; --home names another home folder",
    "identity_exists": "it is yours to use; sealroom keygen --home OTHER makes another one elsewhere",
    "passphrase": "type the passphrase of this home's key, or put it into $SEALROOM_PASSPHRASE",
    "account": "sealroom account list shows what you have; sealroom account create --server ADDRESS "
    "--server-cert SHA256 --email YOU@EXAMPLE.ORG makes one",
    "certificate": "compare the SHA-256 with what `sealroom server` printed to its operator, give it as "
    "--server-cert, and send nothing to a server that shows another one",
    "nothing_to_open": "leave out --open; results are opened by their consumer, a log by who takes part",
    "not_joined": "sealroom register INVITATION or sealroom join INVITATION first, or name your home: --home",
    "contact": "compare fingerprints with the person; then --replace pins another key, and "
    "sealroom contact remove EMAIL frees one",
    "invitation": "give the file that the owner sent you, whole and unchanged, or its first line in quotes",
    "no_part": "ask the owner which address the invitation is for; sealroom account list shows yours",
    "no_key": "the owner and the operator hold none; sealroom status {computation} names who does",
    "address": "choose another --port or --host, or 0 for any free port",
    "data_folder": "stop the other server, or name another folder with --data",
    "package_index": "check the name and that a wheel of it exists for the enclave's Python; pip and uv take "
    "their index from this machine's settings",
    "not_installed": "pip install 'sealroom[client,server]'",
    "launcher": "sealroom doctor says what this machine has, and what brings the rest",
    "server_setting": "sealroom server --help",
    "database": "give --database as a URL like postgresql://USER@HOST/NAME, or leave it out for SQLite",
    "key_exists": "name another file: a key is never replaced",
    "file_exists": "name another file: none is replaced",
    "key_command": "it reads the bytes to sign on standard input and writes 384 bytes on standard output",
    "no_wheels": "sealroom lock FOLDER, or joining the computation, puts them into your home (--home)",
    "no_pal": "docs/deploy-sgx.md, 4: known_pals.toml in your home folder, once you looked at it yourself",
    "no_libos": "give --libos PATH, the libsysdb.so of the Gramine that will run it",
    "rehearsal": "sealroom code test needs Linux and pip install 'sealroom[client,enclave]'",
    # Services
    "code_key": "name the file with --key; whoever has no code key can neither open nor seal for the service",
    "not_locked": "sealroom lock PROJECT writes requirements.txt, with what an enclave serves by",
    "not_taken": "sealroom service evidence NAME, for the code provider to seal anew: a box is for one start",
    "trial": "mend what the application said, and sealroom service test PROJECT again",
    "no_files": _SEND_DATA + "; or add --empty, if you bring none",
    "unknown_file": "sealroom data send {computation} FILE... sends one; the names are those of the files",
    "unknown_contact": "sealroom contact list shows whom this home knows",
    # Deliveries that the journal stops
    "too-many-enclaves": _DECIDE,
    "attendance-needed": _DECIDE,
    "words-differ": "compare your invitation with the owner's, register with the right one, then "
    "sealroom key deliver {computation} --policy POLICY --max-enclaves N",
    "enclave-refused": "the owner can launch again: sealroom computation relaunch {computation}",
}


def hint_for(code: str, *, computation: str | None) -> str | None:
    """Return what helps after the error of this code, or `None` where the message says all there is."""
    hint = SERVER_HINTS.get(code) or CLIENT_HINTS.get(code)
    return None if hint is None else hint.replace("{computation}", computation or "UUID")
