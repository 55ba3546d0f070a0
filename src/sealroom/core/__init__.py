"""Pure core: bytes in, values and verdicts out. Opens no socket, path, clock or environment."""
