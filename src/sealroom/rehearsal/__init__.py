"""A whole computation at home, for a Code Provider to try a program: every part of it is the real one.

- ``data_folder``: what each Data Provider brings, from a folder.
- ``cast``: the participants, with keys for this one time, and the contract between them.
- ``stage``: the simulated TEE of this machine, and one launch in it.
- ``play``: the order of it: send, launch, verify, deliver, run, open.
- ``report``: what came of it.

It plays client and server in one process, which nothing else may; the enclave is a process of its own, as
always. Nothing imports it but the command line. Spec: docs/spec/rehearsal.md.
"""
