"""The published client's cryptographic forms, and nothing else."""
