"""How the server starts an enclave and keeps sight of it, whatever started it.

    base.py         what a launcher does: prepare, start, watch, stop, discard; and the values it speaks in
    host_files.py   the files in `host/`: how server and supervisor know of each other across restarts
    spool_files.py  the spool as the host may touch it: no link followed, every size bounded
    simulated.py    the launcher of the simulated TEE

The supervisor of an enclave is a process of its own: sealroom.server.supervisor.
Spec: docs/spec/launch-folder.md.
"""
