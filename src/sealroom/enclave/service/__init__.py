"""A service inside the TEE: an encrypted web application behind a certificate that its quote vouches for.

A map, in the order of docs/spec/services.md, "In the enclave":

- ``start``: the measured entry point; ``session``: the numbered flow.
- ``identity``: keys, quote, certificate. ``listening``: the port. ``tls``, ``connection``: TLS 1.3.
- ``provisioning``: what a waiting enclave accepts; ``waiting_room``: how it is asked, in HTTP.
- ``sealed_code``: the application's files, checked once; ``memory_files``: what lies decrypted in memory.
- ``challenge``: quotes about one connection; ``serving``: the application under uvicorn; ``meters``: counts.

Nothing here may import quote verification, nor log a part of a request.
"""
