"""Rules about the facts and settings of a provider."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from guestlist.errors import (
    ConfigError,
    GuestlistError,
    InvalidArgument,
    MalformedResponse,
    Unsupported,
)
from guestlist.models import NewInvitation, Role
from guestlist.plugins import GROUP, installed
from guestlist.provider import Flow, Limit, Provider
from guestlist.provider.settings import environment_variable, is_secret
from pytest_guestlist.checking import facts, names, sketches
from pytest_guestlist.conformance.base import VERBS, ProviderRules
from pytest_guestlist.conformance.documented import invented_arguments
from pytest_guestlist.conformance.finding import location_of, report_finding
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.wires import RefusingWire


class IdentityRules(ProviderRules):
    """Rules about the name, the facts, the settings, and missing operations.

    Attributes:
        organization_in_requests: whether every request names the organization of the settings.
            False if the credentials decide which organization is meant.
    """

    organization_in_requests = True

    def test_names_are_given(self, provider_kind: type[Provider]) -> None:
        """`name` is what people type: lower case letters, digits and dashes. `title` is what people
        call the service, `docs_url` leads to its documentation, and each operation is marked with
        `@operation`.

        Likely cause: `title`, `docs_url` or an `@operation` is missing, or `name` contains
        capitals, spaces or underscores.
        """
        wrong = [f"{mistake.rule}: {mistake.hint}" for mistake in names(provider_kind)]
        if wrong:
            report_finding(
                expected="names, and marked operations",
                got="; ".join(wrong),
                look_at=f"the names of {provider_kind.__name__}",
            )

    def test_is_found_by_its_entry_point(self, provider_kind: type[Provider]) -> None:
        """An installed provider is found through the entry point that bears its name.

        Likely cause: The entry point names another class, or an older package is installed.
        """
        entries = [entry.name for entry in importlib.metadata.entry_points(group=GROUP)]
        if provider_kind.name not in entries:
            pytest.skip(f"{provider_kind.name} is not installed as a package")
        found = installed().provider(provider_kind.name)
        if found is not provider_kind:
            report_finding(
                expected=provider_kind,
                got=found,
                look_at="[project.entry-points.guestlist] of its pyproject.toml",
            )

    def test_facts_agree_with_each_other(self, provider_kind: type[Provider]) -> None:
        """Facts are possible and agree: numbers of roles, lifetime, delays, substitutes.

        Likely cause: A fact was copied from another provider, or an operation was added or deleted
        later.
        """
        wrong = [f"{mistake.rule}: {mistake.hint}" for mistake in facts(provider_kind)]
        if wrong:
            report_finding(
                expected="facts that agree",
                got="; ".join(wrong),
                look_at=f"the facts of {provider_kind.__name__}",
            )

    def test_nothing_is_left_of_the_template(self, provider_kind: type[Provider]) -> None:
        """Every sketch of `guestlist new-provider` has been written or deleted.

        Likely cause: The operation was not needed: delete it. Otherwise replace its body and its
        docstring.
        """
        left = [f"{mistake.rule}. {mistake.hint}" for mistake in sketches(provider_kind)]
        if left:
            report_finding(
                expected="no sketch",
                got=f"{len(left)} left to do:\n    " + "\n    ".join(left),
                look_at=location_of(provider_kind, "invite"),
            )

    def test_invites_and_can_look(self, provider_kind: type[Provider]) -> None:
        """A provider can invite, and can look up invitations: without a lookup, an invitation that
        gets no answer stays unknown for ever.

        Likely cause: `invitations` or `find_invitation` is missing or not marked with `@operation`.
        """
        can = [provider_kind.supports(name) for name in ("invitations", "find_invitation")]
        if not provider_kind.supports("invite") or not any(can):
            report_finding(
                expected="invite, and invitations or find_invitation",
                got=", ".join(provider_kind.operations()),
                look_at=f"the operations of {provider_kind.__name__}",
            )

    # ------------------------------------------------------------------ settings

    def test_missing_settings_are_named(
        self, provider_kind: type[Provider], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without settings, the error names each one that is missing, and its variable.

        Likely cause: A setting has a default that is not valid, or reads its variable itself.
        """
        for info in provider_kind.model_fields.values():
            monkeypatch.delenv(environment_variable(info) or "", raising=False)
        required = {
            name: info for name, info in provider_kind.model_fields.items() if info.is_required()
        }
        if not required:
            pytest.skip("no setting is required")
        message = _complaint(provider_kind, {})
        for name, info in required.items():
            env = environment_variable(info)
            if name not in message or (env and env not in message):
                report_finding(
                    expected=f"ConfigError that names {name} and {env}",
                    got=message,
                    look_at=f"{provider_kind.__name__}.{name}",
                )

    def test_environment_variables_are_in_capitals(self, provider_kind: type[Provider]) -> None:
        """The environment variable of a setting is in capitals, digits and underscores.

        Likely cause: `env` of the setting is misspelled.
        """
        variables = {
            name: environment_variable(o) for name, o in provider_kind.model_fields.items()
        }
        for name, variable in variables.items():
            if variable and not re.fullmatch(r"[A-Z][A-Z0-9_]*", variable):
                report_finding(
                    expected="such as ACME_API_KEY",
                    got=variable,
                    look_at=f"{provider_kind.__name__}.{name}",
                )

    def test_organization_is_named(self, harness: Harness) -> None:
        """`organization` returns the name of the organization: not its id, and not an empty text.
        If the service has no name for it, it returns the host and path of `base_url`.

        Likely cause: `organization` returns a setting instead of the service's name, or `base_url`
        with its scheme.
        """
        harness.require("organization")
        got: object = harness.run(harness.provider.organization())
        harness.check(
            isinstance(got, str) and bool(got.strip()) and got not in _settings(harness).values(),
            expected="a name, or the host and path of base_url without the scheme",
            got=repr(got),
            look_at="organization",
        )

    def test_another_organization_is_not_reached(self, harness: Harness) -> None:
        """With the id of an organization that does not exist, every operation raises an error that
        names the cause: it reads nothing from another organization, and invites nobody into it.

        Likely cause: The path leaves out the organization's id, or NotFound is caught and taken for
        an empty list. If the credentials alone decide, set `organization_in_requests = False` in
        the suite.
        """
        harness.require("organization", "invite")
        wrong = {name: "none-7" for name in _settings(harness) if "organization" in name}
        if not wrong:
            pytest.skip("no setting names the organization")
        new = harness.new_invitation("ada")
        harness.forget()
        provider = harness.provider.model_copy(update=wrong)
        flows: dict[str, Callable[[], Flow[Any]]] = {
            "organization": provider.organization,
            "invitations": provider.invitations,
            "members": provider.members,
            "invite": lambda: provider.invite(new),
        }
        for name, flow in flows.items():
            if provider.supports(name) and self.organization_in_requests | (name == "organization"):
                with harness.expect_error(GuestlistError, look_at=name, tried=True) as caught:
                    harness.run(flow())
                harness.check(
                    not isinstance(caught.error, MalformedResponse),
                    expected="an error that says that there is no such organization",
                    got=repr(caught.error),
                    look_at=name,
                )

    def test_credentials_are_secret_settings(self, harness: Harness) -> None:
        """The headers of `authorize` are made from settings that are marked `secret=True`. Every
        setting that is called a key, token, secret or password has this mark. Values that are not
        secret, such as the version of the API, are in `headers`.

        Likely cause: `secret=True` is missing, or a header that is not secret is in `authorize`.
        """
        for name, info in type(harness.provider).model_fields.items():
            if re.search(r"(?:key|token|secret|password)$", name) and not is_secret(info):
                harness.report_finding(
                    expected="secret=True", got="a setting that is not secret", look_at=name
                )
        headers = {**harness.provider.authorize()}
        others = _with_other_secrets(harness.provider)
        for header, value in headers.items():
            if others.get(header) == value:
                report_finding(
                    expected=f"a secret setting in the header {header}; if it is the same for"
                    " everybody, it belongs into the property `headers`",
                    got="a value that no secret setting is part of",
                    look_at=location_of(harness.provider, "authorize"),
                )
        if not headers:
            pytest.skip("no credentials are sent")

    def test_secret_settings_are_masked(self, harness: Harness) -> None:
        """Secrets show neither in `repr`, nor in `str`, nor in a dump of the account.

        Likely cause: The setting is not marked `secret=True`, or the class defines `__repr__`.
        """
        provider = harness.provider
        shown = repr(provider) + str(provider) + provider.model_dump_json()
        for name, info in type(provider).model_fields.items():
            value = getattr(provider, name)
            if is_secret(info) and value and str(value) in shown:
                report_finding(
                    expected="asterisks, or nothing",
                    got=f"the value of {name}",
                    look_at=f"{type(provider).__name__}.{name}: made with `backend(secret=True)`?",
                )

    def test_plain_http_is_refused(self, harness: Harness) -> None:
        """Credentials never travel over plain http, this machine excepted.

        Likely cause: The class overrides the validation of `base_url`.
        """
        settings = {**dict(harness.provider), "base_url": "http://service.example.com"}
        message = _complaint(type(harness.provider), settings)
        harness.check(
            "https" in message,
            expected="ConfigError that says to use https",
            got=message,
            look_at="base_url",
        )

    def test_limits_are_possible(self, harness: Harness) -> None:
        """`limits` are positive numbers of requests in positive times, and `refuses_duplicates` is
        True or False.

        Likely cause: The numbers of a `Limit` are exchanged or zero, or `refuses_duplicates`
        returns no boolean.
        """
        refuses = harness.provider.refuses_duplicates
        harness.check(
            isinstance(refuses, bool),
            expected="True or False",
            got=repr(refuses),
            look_at="refuses_duplicates",
        )
        for limit in harness.provider.limits:
            if not isinstance(limit, Limit) or limit.count < 1 or limit.per <= 0:
                report_finding(
                    expected="Limit(count >= 1, per > 0)",
                    got=repr(limit),
                    look_at=location_of(harness.provider, "limits"),
                )

    # ------------------------------------------------------------------ what is unsupported

    def test_missing_operation_is_unsupported(self, harness: Harness, missing: str) -> None:
        """A missing operation raises Unsupported before anything is sent. The error names the
        service, the operation, and what to do instead.

        Likely cause: `substitutes` has no sentence for the operation, or the class defines it
        without `@operation`.
        """
        with harness.expect_error(Unsupported, look_at=missing) as caught:
            getattr(harness.provider, missing)(*invented_arguments(type(harness.provider), missing))
        message = str(caught.error)
        needs_hint = missing in VERBS
        if harness.provider.title not in message or (needs_hint and not caught.error.hint):
            report_finding(
                expected="the service, the verb and a hint",
                got=message,
                look_at=f"{type(harness.provider).__name__}.substitutes[{missing!r}]",
            )
        _untouched(harness, missing)

    def test_missing_verb_is_unsupported_for_callers(
        self, harness: Harness, missing_verb: str
    ) -> None:
        """A verb of guestlist that the service cannot do ends before anything is changed.

        Likely cause: The class defines the operation without `@operation`.
        """
        someone = harness.address("ada")
        guests = harness.guests
        calls: dict[str, Callable[[], Any]] = {
            "invite": lambda: guests.invite(someone),
            "revoke": lambda: guests.revoke(someone),
            "remove": lambda: guests.remove(someone),
            "access": lambda: guests.access(someone),
            "assign_role": lambda: guests.assign_role(someone, "x"),
            "unassign_role": lambda: guests.unassign_role(someone, "x"),
            "invitations": lambda: list(guests.invitations()),
            "members": lambda: list(guests.members()),
            "roles": lambda: list(guests.roles()),
        }
        with harness.expect_error(Unsupported, look_at=missing_verb):
            calls[missing_verb]()

    def test_role_that_cannot_be_invited_with(self, harness: Harness) -> None:
        """If an invitation takes no role, or fewer than given, an error is raised before anything
        is sent. So is one for an invitation without a required role.

        Likely cause: `least_roles` or `most_roles` does not fit the service, or
        `substitutes['role']` is missing.
        """
        harness.require("invite")
        kind = type(harness.provider)
        if kind.most_roles is not None:
            many = [Role(id=f"r{n}") for n in range(kind.most_roles + 1)]
            with harness.expect_error(Unsupported, look_at="most_roles") as caught:
                harness.guests.invite(harness.address("ada"), role=many)
            if kind.most_roles == 0 and not caught.error.hint:
                report_finding(
                    expected="a hint what to do instead",
                    got=str(caught.error),
                    look_at=f"{kind.__name__}.substitutes['role']",
                )
        if kind.least_roles:
            with harness.expect_error(InvalidArgument, look_at="least_roles"):
                harness.guests.invite(harness.address("ada"))
        _untouched(harness, "invite")

    def test_mail_that_cannot_be_suppressed(self, harness: Harness) -> None:
        """Without `can_suppress_email`, an invitation without an email is Unsupported; with it, no
        email is sent.

        Likely cause: `invite` ignores `new.send_email` although `can_suppress_email` is declared,
        or uses it although it is not.
        """
        harness.require("invite")
        new = harness.new_invitation("ada")
        bodies = [
            self._asked(harness, new.model_copy(update={"send_email": sent}))
            for sent in (True, False)
        ]
        harness.check(
            harness.provider.can_suppress_email is (bodies[0] != bodies[1]),
            expected="can_suppress_email, exactly if `invite` uses `new.send_email`",
            got=f"{harness.provider.can_suppress_email}; with and without an email: {bodies}",
            look_at="can_suppress_email invite",
        )
        if not harness.provider.can_suppress_email:
            with harness.expect_error(Unsupported, look_at="can_suppress_email"):
                harness.invite("ada", send_email=False)
            return
        result = harness.invite("ada", send_email=False)
        sent = harness.backend.emails(harness.address("ada"))
        if sent or result.email_sent:
            look_at = f"{location_of(harness.provider, 'invite')}: does it use `new.send_email`?"
            report_finding(expected="0 emails", got=f"{sent} emails", look_at=look_at)

    def _asked(self, harness: Harness, new: NewInvitation) -> list[str]:
        """Returns the changing requests of `invite`, without sending them to the service."""
        wire = RefusingWire(harness.wire, harness.is_reading)
        with suppress(GuestlistError):
            harness.run(harness.provider.invite(new), wire)
        return [f"{one.method} {one.url} {one.content!r}" for one in wire.refused]

    def test_unknown_options_are_refused(self, harness: Harness) -> None:
        """An option that the provider does not know is an error that names the known ones.

        Likely cause: `Options` allows extra fields.
        """
        harness.require("invite")
        with harness.expect_error(InvalidArgument, look_at="Options") as caught:
            harness.invite("ada", options={"no_such_option": 1})
        message = str(caught.error)
        if any(name not in message for name in harness.provider.Options.model_fields):
            report_finding(
                expected="the names of the known options",
                got=message,
                look_at=f"{type(harness.provider).__name__}.Options",
            )


def _with_other_secrets(provider: Provider) -> Mapping[str, str]:
    """Returns the headers that `authorize` makes of other secrets. Empty if they are invalid."""
    secret = [name for name, info in type(provider).model_fields.items() if is_secret(info)]
    changed = {name: f"{value}X" for name in secret if (value := getattr(provider, name))}
    try:
        return provider.model_copy(update=changed).authorize()
    except Exception:  # A private key, for example, is invalid with another character.
        return {}


def _settings(harness: Harness) -> dict[str, Any]:
    """The settings that have a value."""
    return {name: value for name, value in harness.provider if value is not None}


def _complaint(kind: type[Provider], settings: dict[str, Any]) -> str:
    """Returns the error message for invalid settings."""
    try:
        return f"no error: {kind(**settings)!r}"
    except ConfigError as error:
        return str(error)


def _untouched(harness: Harness, look_at: str) -> None:
    sent = [f"{outgoing.method} {outgoing.url}" for outgoing, _ in harness.wire.exchanges]
    harness.check(not sent, expected="nothing is sent", got=sent, look_at=look_at)
