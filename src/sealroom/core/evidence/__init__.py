"""Is it what I asked for? Policy, the numbered verification, verdicts, receipt verification."""
