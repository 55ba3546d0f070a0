"""Messages that cross a zone boundary: one frozen value each, parsed strictly, never holding a secret.

A map of the package:

- ``participants``, ``terms``, ``arguments``: what everybody agrees to (docs/spec/arguments.md)
- ``input_list``: the files of one Data Provider (docs/spec/input-list.md)
- ``code_list``: the files of the program, and the signature over them (docs/spec/code-list.md)
- ``delivery``: the public part of a key delivery (docs/spec/key-delivery.md)
- ``report_data``: how the enclave's keys are bound to its quote (docs/spec/report-data.md)
- ``ra_tls``, ``ra_tls_certificate``: a TLS key bound to a quote, its certificate (docs/spec/ra-tls.md)
- ``dsse``, ``receipt``: signed statements of the enclave (docs/spec/receipt.md)
- ``bundle``: evidence as one file (docs/spec/evidence-bundle.md)
- ``spool``: names and sizes in the folder shared by enclave and host (docs/spec/spool.md)
- ``enclave``: the values that say an enclave was verified
- ``signatures``: Ed25519 checks; ``foreign_text``: printing text that others wrote
- ``byte_fields``, ``names``, ``strict_json``: the rules that all of these share

This package is measured into every enclave: it imports the standard library and PyNaCl alone.
"""
