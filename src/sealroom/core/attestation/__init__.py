"""Is this quote genuine? Quotes, certificate chains, collateral, TCB rules."""
