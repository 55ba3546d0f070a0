"""Messages that cross a zone boundary, one frozen dataclass each, with the signature checks over them."""
