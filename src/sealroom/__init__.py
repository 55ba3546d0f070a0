"""sealroom: compute together on data nobody else may see.

A map of the package; each folder is one trust zone (docs/threat-model.md):

- ``core``: pure functions that all parties must agree on. Opens nothing.
- ``client``: a participant's machine.
- ``server``: the operator's machine, untrusted by design.
- ``enclave``: what runs inside the TEE.
- ``insecure``: the simulated TEE. Never imported by what ships to people.
- ``adapters``: effects shared by client, server and command line.
- ``cli``: one file a command.
"""

__version__ = "0.1.0"
