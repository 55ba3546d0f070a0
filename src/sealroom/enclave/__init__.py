"""Zone 3, inside the TEE."""
