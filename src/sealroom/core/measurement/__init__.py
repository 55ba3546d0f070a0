"""What should the enclave measure? Manifest, layout, MRENCLAVE."""
