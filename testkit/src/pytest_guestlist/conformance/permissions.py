"""Rules about the permissions of credentials, which the service enforces."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist import errors
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.harness import Harness

REFUSING = (errors.ServiceRefusal,)
"""The refusals of a key without permission. Some services answer that the record does not exist."""


class PermissionRules(ProviderRules):
    """Wrong credentials, and credentials that may only read."""

    def test_wrong_credentials(self, harness: Harness) -> None:
        """With wrong credentials everything is Unauthorized, and nothing has happened.

        Likely cause: The service refuses wrong credentials with another status than 401, and
        `explain` does not turn it into Unauthorized; or `organization` sends no credentials.
        """
        bad = {
            name: value + "X"
            if isinstance(value, str) and value in harness.provider.secrets()
            else value
            for name, value in harness.provider
        }
        if bad == dict(harness.provider):
            pytest.skip("no credentials are sent")
        client_with = harness.client_with(type(harness.provider)(**bad))
        with harness.expect_error(errors.Unauthorized, look_at="explain authorize") as caught:
            client_with.check()
        harness.check(
            caught.error.happened is False,
            expected="an error that says that nothing has happened",
            got=repr(caught.error),
            look_at="explain",
        )

    def test_credentials_that_may_only_read(self, harness: Harness) -> None:
        """With credentials that may only read, lists work, and an invitation is Forbidden: it has
        certainly not happened, and no email has gone out.

        Likely cause: `explain` does not turn the service's refusal into Forbidden, or a reading
        operation needs more rights than a list does.
        """
        harness.require("invite")
        reader = harness.client_with(harness.backend.read_only())
        for name in ("members", "roles", "invitations"):
            if harness.provider.supports(name):
                list(getattr(reader, name)())
        kinds = (errors.Forbidden, errors.Unauthorized)
        with harness.expect_error(*kinds, look_at="explain") as caught:
            reader.invite(harness.address("ada"), **harness.required_arguments())
        harness.check(
            not caught.error.happened,
            expected="an error that says that nothing has happened",
            got=repr(caught.error),
            look_at="explain",
        )
        harness.expect_emails(harness.address("ada"), 0, "invite")

    def test_reading_credentials_change_nothing(self, harness: Harness, changing: str) -> None:
        """With credentials that may only read, every operation that changes something raises, also
        where the service refuses within an answer of 200; and nothing has happened.

        Likely cause: The flow catches the refusal, or the service refuses within a 2xx and
        `refusal` does not see it.
        """
        arguments = self._arguments(harness, changing)
        provider = harness.backend.read_only()
        reader = harness.spy_on(provider)
        with harness.expect_error(*REFUSING, look_at=f"{changing} explain", tried=True) as caught:
            harness.run(getattr(provider, changing)(*arguments), spy=reader)
        harness.check(
            not caught.error.happened,
            expected="an error that says that nothing has happened",
            got=repr(caught.error),
            look_at=f"{changing} explain",
        )

    def _arguments(self, harness: Harness, changing: str) -> tuple[Any, ...]:
        """Returns arguments with which an owner could call an operation."""
        if changing == "invite":
            return (harness.new_invitation("ada"),)
        if changing in ("resend", "revoke"):
            return (harness.invitation("ada"),)
        if changing == "change_invitation":
            invited = harness.invitation("ada")
            return (invited, (harness.another_role(invited.roles, offered=True),))
        member = harness.member("ada")
        if changing == "remove":
            return (member,)
        role = harness.another_role(member.roles or ())
        if changing == "unassign_role":
            harness.require("assign_role")
            harness.guests.assign_role(member, role)
            member = harness.guests.status(member).member or member
        return (member, role)
