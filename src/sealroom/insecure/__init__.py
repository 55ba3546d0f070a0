"""The simulated TEE: software quotes under a throw-away PKI. Proves nothing to anybody."""
