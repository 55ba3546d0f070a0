"""Accounts: an e-mail address and a bearer token, of which the server keeps only the hash.

Nothing rests on an account but who may use the API: participants are told apart by their keys.
"""

import hashlib
import hmac
import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sealroom.core.wire.participants import check_email
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.schema import Account


def derive_token(*, secret: bytes, key: uuid.UUID, email: str) -> str:
    """Make the token of an account from the request's own key, so that a repeated request can be answered.

    The key (122 random bits, of which the server keeps a hash) is what makes the token secret; the server's
    secret keeps somebody who only saw the key from computing it.
    """
    message = b"sealroom/v1/account-token\0" + key.bytes + email.encode()
    return "srt_" + hmac.new(secret, message, hashlib.sha256).hexdigest()


def create_account(session: Session, *, email: str, token: str, now: datetime) -> Account:
    """Create the account of `email`; an address that has one is refused."""
    check_email(email)
    if session.scalars(select(Account).where(Account.email == email)).first() is not None:
        raise ServiceError(
            ErrorCode.EMAIL_TAKEN, "this e-mail address already has an account here", got=email
        )
    account = Account(email=email, token_sha256=_hash(token), created_at=now)
    session.add(account)
    session.flush()
    return account


def find_account(session: Session, token: str) -> Account:
    """Return whose token this is, or refuse."""
    account = session.scalars(select(Account).where(Account.token_sha256 == _hash(token))).first()
    if account is None:
        raise ServiceError(
            ErrorCode.UNAUTHORIZED, "unknown token: register an account with this server first"
        )
    return account


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
