"""Examples that run in continuous integration."""
