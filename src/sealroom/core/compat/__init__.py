"""The published client's cryptographic forms, and nothing else: weaker than ours, and apart from them."""
