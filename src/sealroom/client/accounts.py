"""The accounts of one home: for each server, the e-mail address and the access token.

A token lets its holder use the server's API and nothing more: what an enclave believes rests on keys. Must
never show a token.
"""

import json
import re
from dataclasses import dataclass, field

from sealroom.client.home import Home
from sealroom.client.json_values import JsonObject
from sealroom.client.private_files import read_bounded, write_private
from sealroom.core.errors import MalformedError
from sealroom.core.wire.participants import check_email

_FORMAT = 1
_MAX_FILE_BYTES = 1024 * 1024
_MAX_TOKEN_CHARS = 4096
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A participant's account at one server."""

    server: str
    email: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        check_email(self.email)
        # It becomes part of a header: what a header cannot hold would be quoted by whatever refuses it.
        if not 1 <= len(self.token) <= _MAX_TOKEN_CHARS or not _TOKEN.fullmatch(self.token):
            raise MalformedError("account: the token is not one")


class Accounts:
    """The accounts file of one home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def all(self) -> tuple[Account, ...]:
        """Return every account, sorted by server."""
        return tuple(account for _, account in sorted(self._read().items()))

    def find(self, server: str) -> Account | None:
        """Return the account at `server`, an origin without a trailing slash."""
        return self._read().get(server)

    def save(self, account: Account) -> None:
        """Store an account in place of any other at its server."""
        with self._home.lock():
            accounts = self._read()
            accounts[account.server] = account
            write_private(self._home.accounts, _to_bytes(accounts))

    def _read(self) -> dict[str, Account]:
        try:
            raw = read_bounded(self._home.accounts, max_bytes=_MAX_FILE_BYTES, what="accounts file")
        except FileNotFoundError:
            return {}
        return _parse(raw)


def _to_bytes(accounts: dict[str, Account]) -> bytes:
    entries = [
        {"email": account.email, "server": server, "token": account.token}
        for server, account in sorted(accounts.items())
    ]
    return json.dumps({"accounts": entries, "format": _FORMAT}, indent=1, sort_keys=True).encode() + b"\n"


def _parse(raw: bytes) -> dict[str, Account]:
    root = JsonObject.from_bytes(raw, what="accounts file")
    root.check_names("accounts", "format")
    if root.number("format") != _FORMAT:
        raise MalformedError(f"accounts file: format: expected {_FORMAT}")
    entries = root.items("accounts")
    accounts = [
        Account(server=entry.text("server"), email=entry.text("email"), token=entry.text("token"))
        for entry in entries
    ]
    return {account.server: account for account in accounts}
