"""Checks the arguments of an invitation before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from guestlist.errors import InvalidArgument, Unsupported
from guestlist.models import Role
from guestlist.provider import Provider
from guestlist.provider.settings import describe_problem
from guestlist.verbs.roles import RoleRef, not_a_role_error

IfExists = Literal["return", "resend", "replace", "error"]
"""The action for an invitation that is open already."""


def as_role_list(role: RoleRef | Iterable[RoleRef] | None) -> list[RoleRef]:
    """Returns the given role or roles as a list.

    Raises:
        InvalidArgument: the value is neither a role nor several.
    """
    if role is None:
        return []
    if isinstance(role, str | Role):
        return [role]
    if isinstance(role, Iterable):
        return list(role)
    raise not_a_role_error(role)


def check_possible(
    provider: Provider,
    roles: Sequence[RoleRef],
    send_email: bool,
    if_exists: str,
    *,
    can_defer: bool,
) -> None:
    """Refuses what the service cannot do, before anything is sent.

    Args:
        can_defer: whether roles can be given later, because a ledger stores them.
    """
    title = provider.title
    can_defer = can_defer and provider.supports("assign_role")
    if not provider.supports("invite"):
        raise provider.unsupported("invite")
    now, deferred = provider.split_roles(roles)
    if deferred and not can_defer and not now:
        kind = deferred[0].kind if isinstance(deferred[0], Role) else "role"
        raise Unsupported(
            f"{title} takes no {kind} at invitation time",
            hint=_later(provider, "Assign it once the invitation is accepted."),
        )
    if deferred and not can_defer:
        number = "1 role" if len(now) == 1 else f"{len(now)} roles"
        raise Unsupported(
            f"{title} takes {number} at invitation time, not {len(roles)}",
            hint=_later(provider, "Assign the others once the invitation is accepted."),
        )
    if lacking := provider.lacks(roles):
        raise InvalidArgument(
            f"{title} needs {lacking} for an invitation", hint="`guestlist roles` shows them."
        )
    if contradiction := provider.excludes(roles):
        raise Unsupported(contradiction, hint="Name only one of them.")
    if not send_email and not provider.can_suppress_email:
        raise Unsupported(
            f"{title} offers no way to suppress the email",
            hint=provider.substitutes.get("email", ""),
        )
    if if_exists == "replace" and not provider.supports("revoke"):
        raise provider.unsupported("revoke")
    if if_exists == "resend":
        check_resendable(provider)


def _later(provider: Provider, by_assigning: str) -> str:
    """Returns the hint for roles that an invitation cannot contain.

    It is the provider's own hint, or else to assign them later if the service can do that.
    """
    able = provider.supports("assign_role")
    hint = provider.substitutes.get("role", by_assigning if able else "Leave them out.")
    remembered = ". A client with a ledger remembers them until then."
    return hint.rstrip(".") + remembered if able else hint


def check_resendable(provider: Provider) -> None:
    emulated = provider.supports("revoke") and provider.supports("invite")
    if not provider.supports("resend") and not emulated:
        raise provider.unsupported("resend")


def parse_options(provider: Provider, given: Mapping[str, Any] | BaseModel | None) -> BaseModel:
    """Returns the given options as an instance of the provider's `Options`.

    Raises:
        InvalidArgument: an option does not exist, or its value is invalid.
    """
    kind = provider.Options
    if isinstance(given, BaseModel) and type(given) is not kind:  # the base has many subclasses
        raise InvalidArgument(
            f"{type(given).__name__} are not the options of {provider.title}",
            hint=f"Use {kind.__name__}.",
        )
    if isinstance(given, BaseModel):
        return given
    if not isinstance(given, Mapping | None):
        raise InvalidArgument(
            f"the options cannot be {given!r}", hint="Give them by name, as a dictionary."
        )
    try:
        return kind.model_validate(dict(given or {}))
    except ValidationError as error:
        known = ", ".join(kind.model_fields) or "none"
        wrong = "; ".join(
            f"there is no option {problem['loc'][0]!r}"
            if problem["type"] == "extra_forbidden"
            else f"option {'.'.join(map(str, problem['loc']))}: {describe_problem(problem)}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidArgument(
            f"{provider.title}: {wrong}", hint=f"The options are: {known}."
        ) from None
