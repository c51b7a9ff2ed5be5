"""The authentication endpoints that concern invitations, and the tokens that they issue."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from guestlist_aitronos.sandbox import shapes
from guestlist_aitronos.sandbox.bodies import Login, Refresh, ValidateEmail, is_email
from guestlist_aitronos.sandbox.call import Call
from guestlist_aitronos.sandbox.errors import unauthenticated
from guestlist_aitronos.sandbox.records import INVITED, Organization, Token, User
from guestlist_aitronos.sandbox.routing import Endpoints
from guestlist_aitronos.sandbox.state import ServiceState

endpoints = Endpoints()
ACCESS_LIFETIME = timedelta(hours=24)
"""How long an access token is valid (unverified)."""
REFRESH_LIFETIME = timedelta(days=30)
"""How long a refresh token is valid, as in the sample of CM-complete."""


@dataclass(frozen=True)
class Session:
    """The tokens that a login returns."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    refresh_expires_at: datetime


def sign_in(service: ServiceState, user: User) -> Session:
    """Issues an access token in the format of a JWT, and a refresh token."""
    records, now = service.records, service.clock.now()
    claims = {
        "sub": user.id,
        "iat": int(now.timestamp()),
        "exp": int((now + ACCESS_LIFETIME).timestamp()),
    }
    signature = f"{service.random.getrandbits(256):064x}"
    header = _segment({"alg": "HS256", "typ": "JWT"})
    session = Session(
        access_token=f"{header}.{_segment(claims)}.{signature}",
        refresh_token=records.new_id("rt"),
        refresh_expires_at=now + REFRESH_LIFETIME,
    )
    records.access_tokens[session.access_token] = Token(user.id, now + ACCESS_LIFETIME)
    records.refresh_tokens[session.refresh_token] = Token(user.id, session.refresh_expires_at)
    user.last_login = now
    return session


@endpoints.post("/v1/auth/validate-email")
async def validate_email(call: Call) -> Response:
    """Returns whether a person with this address can sign up (SDK). Needs no credentials. Only two
    of the reasons are documented; the others are unverified."""
    email = (await call.body(ValidateEmail)).email
    if not is_email(email):
        return _email_verdict(email, "The email address is not valid", reason="invalid_format")
    user = call.records.user_by_email(email)
    if user is not None and user.is_registered:
        return _email_verdict(email, "Already registered", reason="already_registered")
    organizations = [o for o in call.records.organizations.values() if not o.deleted_at]
    domain = email.rpartition("@")[2].casefold()
    for organization in organizations:
        if domain in {name.casefold() for name in organization.domains}:
            return _email_verdict(email, "You can sign up", organization)
    for organization in organizations:
        row = user and call.records.membership(organization.id, user.id)
        if row and row.status == INVITED:
            return _email_verdict(email, "You are invited", organization, by_invitation=True)
    return _email_verdict(email, "No organization has this domain", reason="no_organization")


@endpoints.post("/v1/auth/dev-login")
async def dev_login(call: Call) -> Response:
    """Signs a user in with a password (SDK). For development: it needs no code from an email."""
    body = await call.body(Login)
    wanted = body.email_or_username.casefold()
    for user in call.records.users.values():
        named = wanted in (user.email.casefold(), (user.username or user.email).casefold())
        if named and user.is_active and user.password == body.password:
            session = sign_in(call.service, user)
            return JSONResponse(_tokens(session) | {"user": shapes.user(user)})
    raise unauthenticated("INVALID_CREDENTIALS", "Invalid credentials")


@endpoints.post("/v1/auth/refresh")
async def refresh_token(call: Call) -> Response:
    """Returns new tokens for a refresh token (SDK). That a refresh token works only once is
    unverified."""
    body = await call.body(Refresh)
    token = call.records.refresh_tokens.pop(body.refresh_token, None)
    if token is None:
        raise unauthenticated("TOKEN_INVALID", "Invalid token")
    user = call.records.users[token.user_id]
    if token.expires_at <= call.service.clock.now() or not user.is_active:
        raise unauthenticated("TOKEN_EXPIRED", "Token expired")
    return JSONResponse(_tokens(sign_in(call.service, user)))


@endpoints.get("/v1/auth/validate")
async def validate_token(call: Call) -> Response:
    """Returns that the token is valid (SDK): an invalid one is answered with 401 before."""
    call.caller()
    return JSONResponse({"is_valid": True, "error": None, "requires_reconnect": False})


def _tokens(session: Session) -> dict[str, Any]:
    return {
        "access_token": session.access_token,
        "refresh_token": session.refresh_token,
        "token_type": "bearer",
        "expires_in": int(ACCESS_LIFETIME.total_seconds()),
        "device_id": None,
    }


def _segment(claims: dict[str, object]) -> str:
    return urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def _email_verdict(
    email: str,
    message: str,
    organization: Organization | None = None,
    *,
    reason: str | None = None,
    by_invitation: bool = False,
) -> Response:
    about = organization and {
        "id": organization.id,
        "name": organization.name,
        "logo": organization.logo_image,
        "requires_invitation": by_invitation,
    }
    return JSONResponse(
        {
            "success": True,
            "is_valid": reason is None,
            "email": email,
            "message": message,
            "organization": about,
            "reason": reason,
        }
    )
