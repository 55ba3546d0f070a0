"""The HTTP API: each route decodes, calls one service, encodes. Spec: docs/spec/api.md."""
