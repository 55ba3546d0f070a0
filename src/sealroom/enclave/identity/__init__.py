"""Who this enclave is: its keys, its own report, its quote."""
