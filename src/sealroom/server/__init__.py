"""Zone 2, the operator's machine: untrusted by design."""
