"""How the server starts an enclave and keeps sight of it, whatever started it.

    base.py         what a launcher does: prepare, start, watch, stop, discard; and the values it speaks in
    host_files.py   the files in `host/`: how server and supervisor know of each other across restarts
    spool_files.py  the spool as the host may touch it: no link followed, every size bounded
    folders.py      what all launchers do alike
    simulated.py    the launchers of the simulated TEE
    gramine_sgx.py  the launcher of enclaves on SGX

The supervisor of an enclave is a process of its own: sealroom.server.supervisor.
Spec: docs/spec/launch-folder.md.
"""
