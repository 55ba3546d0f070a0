"""The caller's side of a service: connections that are proven to end in a verified enclave.

- `tls`: TLS 1.3 by pyOpenSSL over a socket, with the exporter that Python's own `ssl` lacks.
- `judging`: which certificate is believed, and what a connection must prove beyond it.
- `challenge`: asking for that proof, and reading the answer.
- `backend`, `transport`: the same for httpcore and httpx; `requests_adapter` for requests.
- `connecting`: `connect`, and `pinned_context` for whoever brings a client of their own.

Must never send a byte of a request before the connection was proven, nor to another place.
Spec: docs/spec/services.md, "Calling".
"""
