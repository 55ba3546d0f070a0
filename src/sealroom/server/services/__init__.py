"""One module a topic. A service decides inside the transaction it is given."""
