"""Routes: the server itself, and accounts."""

from dataclasses import asdict

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import Session

from sealroom import __version__
from sealroom.core.wire.participants import check_email
from sealroom.server.api.caller import ANONYMOUS, TheCaller, TheKey, ThePlatform
from sealroom.server.api.models import AccountCreated, AccountView, LimitsView, NewAccount, ServerView
from sealroom.server.api.views import protection_views
from sealroom.server.idempotency import Answer, RepeatableRequest, perform_once, request_digest
from sealroom.server.schema import Launch
from sealroom.server.services.accounts import create_account, derive_token

router = APIRouter(tags=["accounts"])


@router.get("/server")
def show_server(platform: ThePlatform) -> ServerView:
    """Say what this server is: its release, what it launches, its limits."""
    limits = asdict(platform.config.limits)
    with platform.store.read() as session:
        query = select(Launch).where(Launch.protections.is_not(None)).order_by(Launch.id.desc()).limit(1)
        launch = session.scalars(query).first()
    return ServerView(
        release=__version__,
        launcher=platform.config.launcher,
        tee=platform.tee.value,
        waiting_deadline_seconds=platform.config.waiting_deadline_seconds,
        protections=protection_views(launch) if launch is not None else None,
        limits=LimitsView(**{name: limits[name] for name in LimitsView.model_fields}),
    )


@router.post("/accounts", status_code=201)
def post_account(platform: ThePlatform, body: NewAccount, key: TheKey) -> AccountCreated:
    """Create an account. Its token is shown again only to the very same request with the same key."""
    check_email(body.email)
    token = derive_token(secret=platform.secret, key=key, email=body.email)

    def create(session: Session) -> Answer:
        return {"email": create_account(session, email=body.email, token=token, now=platform.now()).email}

    request = RepeatableRequest(
        scope=ANONYMOUS, key=key, digest=request_digest("POST", "/v1/accounts", body.email.encode())
    )
    perform_once(platform.store, request, create)
    return AccountCreated(email=body.email, token=token)


@router.get("/accounts/me")
def show_account(caller: TheCaller) -> AccountView:
    """Show the account that the token belongs to."""
    with caller.reading() as (_, account):
        return AccountView(email=account.email, created_at=account.created_at)
