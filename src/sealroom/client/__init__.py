"""Zone 1, a participant's machine."""
