"""Rules about what a provider says of itself."""

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
from guestlist.provider import Effect, Flow, Limit, Provider
from guestlist.provider.settings import environment_variable, is_secret
from pytest_guestlist.checking import CONTRACT, facts, sketches
from pytest_guestlist.conformance.base import VERBS, Rules
from pytest_guestlist.conformance.documented import made_up
from pytest_guestlist.conformance.remark import place, remark
from pytest_guestlist.conformance.scene import Scene
from pytest_guestlist.conformance.wires import Holding


class Identity(Rules):
    """Name, facts, settings, and what is unsupported.

    Attributes:
        organization_in_requests: whether every request names the organization of the settings;
            not so where the credentials decide which one is meant.
    """

    organization_in_requests = True

    def test_name_is_one_lower_case_word(self, provider_kind: type[Provider]) -> None:
        """`name` is what people type: lower case letters, digits and dashes.

        Likely cause: `name` contains capitals, spaces or underscores.
        """
        if not re.fullmatch(r"[a-z][a-z0-9-]*", provider_kind.name):
            remark(
                expected="such as acme",
                came=repr(provider_kind.name),
                look_at=f"{provider_kind.__name__}.name",
            )

    def test_title_and_docs_are_told(self, provider_kind: type[Provider]) -> None:
        """`title` is what people call the service, and `docs_url` leads to its documentation.

        Likely cause: `title` or `docs_url` is missing.
        """
        docs = provider_kind.docs_url
        if not provider_kind.title.strip() or not docs.startswith("https://"):
            remark(
                expected="a title, and a docs_url that begins with https://",
                came=f"{provider_kind.title!r}, {docs!r}",
                look_at=f"{provider_kind.__name__}.title, .docs_url",
            )

    def test_is_found_by_its_entry_point(self, provider_kind: type[Provider]) -> None:
        """An installed provider is found through the entry point that bears its name.

        Likely cause: The entry point names another class, or an older package is installed.
        """
        names = [entry.name for entry in importlib.metadata.entry_points(group=GROUP)]
        if provider_kind.name not in names:
            pytest.skip(f"{provider_kind.name} is not installed as a package")
        found = installed().provider(provider_kind.name)
        if found is not provider_kind:
            remark(
                expected=provider_kind,
                came=found,
                look_at="[project.entry-points.guestlist] of its pyproject.toml",
            )

    def test_facts_agree_with_each_other(self, provider_kind: type[Provider]) -> None:
        """Facts are possible and agree: numbers of roles, lifetime, delays, substitutes.

        Likely cause: A fact was copied from another provider, or an operation was added or deleted
        later.
        """
        wrong = [f"{problem.rule}: {problem.hint}" for problem in facts(provider_kind)]
        if wrong:
            remark(
                expected="facts that agree",
                came="; ".join(wrong),
                look_at=f"the facts of {provider_kind.__name__}",
            )

    def test_nothing_is_left_of_the_template(self, provider_kind: type[Provider]) -> None:
        """What `guestlist new-provider` has sketched is written, or deleted.

        Likely cause: The operation was not needed: delete it. Otherwise replace its body and its
        docstring.
        """
        left = [f"{problem.rule}. {problem.hint}" for problem in sketches(provider_kind)]
        if left:
            remark(
                expected="no sketch",
                came=f"{len(left)} left to do:\n    " + "\n    ".join(left),
                look_at=place(provider_kind, "invite"),
            )

    def test_operations_have_names_of_the_contract(self, provider_kind: type[Provider]) -> None:
        """What overrides an operation of the contract is marked with `@operation`.

        Likely cause: `@operation` is missing.
        """
        unmarked = [
            name
            for name in CONTRACT
            if getattr(provider_kind, name) is not getattr(Provider, name)
            and not provider_kind.supports(name)
        ]
        if unmarked:
            remark(
                expected="@operation above each",
                came=f"unmarked: {', '.join(unmarked)}",
                look_at=place(provider_kind, unmarked[0]),
            )

    def test_invites_and_can_look(self, provider_kind: type[Provider]) -> None:
        """A provider can invite, and can look whether it has: without a look, an invitation that
        gets no answer stays unknown for ever.

        Likely cause: `invitations` or `find_invitation` is missing or not marked with `@operation`.
        """
        can = [provider_kind.supports(name) for name in ("invitations", "find_invitation")]
        if not provider_kind.supports("invite") or not any(can):
            remark(
                expected="invite, and invitations or find_invitation",
                came=", ".join(provider_kind.operations()),
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
        told = _complaint(provider_kind, {})
        for name, info in required.items():
            env = environment_variable(info)
            if name not in told or (env and env not in told):
                remark(
                    expected=f"ConfigError that names {name} and {env}",
                    came=told,
                    look_at=f"{provider_kind.__name__}.{name}",
                )

    def test_environment_variables_are_in_capitals(self, provider_kind: type[Provider]) -> None:
        """The environment variable of a setting is in capitals, digits and underscores.

        Likely cause: `env` of the setting is misspelled.
        """
        told = {name: environment_variable(o) for name, o in provider_kind.model_fields.items()}
        for name, variable in told.items():
            if variable and not re.fullmatch(r"[A-Z][A-Z0-9_]*", variable):
                remark(
                    expected="such as ACME_API_KEY",
                    came=variable,
                    look_at=f"{provider_kind.__name__}.{name}",
                )

    def test_organization_is_named(self, scene: Scene) -> None:
        """`organization` returns the name of the organization: not its id, and not an empty text.
        If the service has no name for it, it returns the host and path of `base_url`.

        Likely cause: `organization` returns a setting instead of the service's name, or `base_url`
        with its scheme.
        """
        scene.needs("organization")
        came: object = scene.run(scene.provider.organization())
        scene.check(
            isinstance(came, str) and bool(came.strip()) and came not in _settings(scene).values(),
            expected="a name, or the host and path of base_url without the scheme",
            came=repr(came),
            look_at="organization",
        )

    def test_another_organization_is_not_reached(self, scene: Scene) -> None:
        """With the id of an organization that is not there, everything ends with an error that
        says so: nothing is read from another one, and nobody is invited into it.

        Likely cause: The path leaves out the organization's id, or NotFound is caught and taken for
        an empty list. If the credentials alone decide, set `organization_in_requests = False` in
        the suite.
        """
        scene.needs("organization", "invite")
        wrong = {name: "none-7" for name in _settings(scene) if "organization" in name}
        if not wrong:
            pytest.skip("no setting names the organization")
        new = scene.new_invitation("ada")
        scene.forget()
        provider = scene.provider.model_copy(update=wrong)
        flows: dict[str, Callable[[], Flow[Any]]] = {
            "organization": provider.organization,
            "invitations": provider.invitations,
            "members": provider.members,
            "invite": lambda: provider.invite(new),
        }
        for name, flow in flows.items():
            if provider.supports(name) and self.organization_in_requests | (name == "organization"):
                with scene.refused(GuestlistError, look_at=name, tried=True) as caught:
                    scene.run(flow())
                scene.check(
                    not isinstance(caught.error, MalformedResponse),
                    expected="an error that says that there is no such organization",
                    came=repr(caught.error),
                    look_at=name,
                )

    def test_credentials_are_secret_settings(self, scene: Scene) -> None:
        """What `authorize` sends is made from settings that are marked `secret=True`, and so is
        every setting that is called a key, token, secret or password. What is no secret, such as
        the version of the API, is in `headers`.

        Likely cause: `secret=True` is missing, or a header that is not secret is in `authorize`.
        """
        for name, info in type(scene.provider).model_fields.items():
            if re.search(r"(?:key|token|secret|password)$", name) and not is_secret(info):
                scene.remark(expected="secret=True", came="a setting for all to see", look_at=name)
        told = {**scene.provider.authorize()}
        others = _with_other_secrets(scene.provider)
        for header, value in told.items():
            if others.get(header) == value:
                remark(
                    expected=f"a secret setting in the header {header}; if it is the same for"
                    " everybody, it belongs into the property `headers`",
                    came="a value in which no secret setting has a part",
                    look_at=place(scene.provider, "authorize"),
                )
        if not told:
            pytest.skip("no credentials are sent")

    def test_secret_settings_are_masked(self, scene: Scene) -> None:
        """Secrets show neither in `repr`, nor in `str`, nor in a dump of the account.

        Likely cause: The setting is not marked `secret=True`, or the class defines `__repr__`.
        """
        provider = scene.provider
        shown = repr(provider) + str(provider) + provider.model_dump_json()
        for name, info in type(provider).model_fields.items():
            value = getattr(provider, name)
            if is_secret(info) and value and str(value) in shown:
                remark(
                    expected="asterisks, or nothing",
                    came=f"the value of {name}",
                    look_at=f"{type(provider).__name__}.{name}: made with `setting(secret=True)`?",
                )

    def test_plain_http_is_refused(self, scene: Scene) -> None:
        """Credentials never travel over plain http, this machine excepted.

        Likely cause: The class overrides the validation of `base_url`.
        """
        settings = {**dict(scene.provider), "base_url": "http://service.example.com"}
        told = _complaint(type(scene.provider), settings)
        scene.check(
            "https" in told,
            expected="ConfigError that says to use https",
            came=told,
            look_at="base_url",
        )

    def test_limits_are_possible(self, scene: Scene) -> None:
        """`limits` are positive numbers of requests in positive times, and `refuses_duplicates` is
        True or False.

        Likely cause: The numbers of a `Limit` are exchanged or zero, or `refuses_duplicates`
        returns no boolean.
        """
        refuses = scene.provider.refuses_duplicates
        scene.check(
            isinstance(refuses, bool),
            expected="True or False",
            came=repr(refuses),
            look_at="refuses_duplicates",
        )
        for limit in scene.provider.limits:
            if not isinstance(limit, Limit) or limit.count < 1 or limit.per <= 0:
                remark(
                    expected="Limit(count >= 1, per > 0)",
                    came=repr(limit),
                    look_at=place(scene.provider, "limits"),
                )

    # ------------------------------------------------------------------ what is unsupported

    def test_missing_operation_is_unsupported(self, scene: Scene, missing: str) -> None:
        """What is not offered raises Unsupported before anything is sent, and says who cannot do
        what, and what to do instead.

        Likely cause: `substitutes` has no sentence for the operation, or the class defines it
        without `@operation`.
        """
        with scene.refused(Unsupported, look_at=missing) as caught:
            getattr(scene.provider, missing)(*made_up(type(scene.provider), missing))
        told = str(caught.error)
        needs_hint = missing in VERBS
        if scene.provider.title not in told or (needs_hint and not caught.error.hint):
            remark(
                expected="the service, the verb and a hint",
                came=told,
                look_at=f"{type(scene.provider).__name__}.substitutes[{missing!r}]",
            )
        _untouched(scene, missing)

    def test_missing_verb_is_unsupported_for_callers(self, scene: Scene, missing_verb: str) -> None:
        """A verb of guestlist that the service cannot do ends before anything is changed.

        Likely cause: The class defines the operation without `@operation`.
        """
        someone = scene.address("ada")
        guests = scene.guests
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
        with scene.refused(Unsupported, look_at=missing_verb):
            calls[missing_verb]()

    def test_role_that_cannot_be_invited_with(self, scene: Scene) -> None:
        """Where an invitation takes no role, or not so many, that is said before anything is
        sent; and an invitation without a role that it needs is refused in the same way.

        Likely cause: `least_roles` or `most_roles` does not fit the service, or
        `substitutes['role']` is missing.
        """
        scene.needs("invite")
        kind = type(scene.provider)
        if kind.most_roles is not None:
            many = [Role(id=f"r{n}") for n in range(kind.most_roles + 1)]
            with scene.refused(Unsupported, look_at="most_roles") as caught:
                scene.guests.invite(scene.address("ada"), role=many)
            if kind.most_roles == 0 and not caught.error.hint:
                remark(
                    expected="a hint what to do instead",
                    came=str(caught.error),
                    look_at=f"{kind.__name__}.substitutes['role']",
                )
        if kind.least_roles:
            with scene.refused(InvalidArgument, look_at="least_roles"):
                scene.guests.invite(scene.address("ada"))
        _untouched(scene, "invite")

    def test_mail_that_cannot_be_suppressed(self, scene: Scene) -> None:
        """Without `can_suppress_email`, an invitation without an email is Unsupported; with it, no
        mail is sent.

        Likely cause: `invite` ignores `new.send_email` although `can_suppress_email` is declared,
        or uses it although it is not.
        """
        scene.needs("invite")
        new = scene.new_invitation("ada")
        bodies = [
            self._asked(scene, new.model_copy(update={"send_email": sent}))
            for sent in (True, False)
        ]
        scene.check(
            scene.provider.can_suppress_email is (bodies[0] != bodies[1]),
            expected="can_suppress_email, exactly if `invite` uses `new.send_email`",
            came=f"{scene.provider.can_suppress_email}; with and without a mail {bodies}",
            look_at="can_suppress_email invite",
        )
        if not scene.provider.can_suppress_email:
            with scene.refused(Unsupported, look_at="can_suppress_email"):
                scene.invite("ada", send_email=False)
            return
        result = scene.invite("ada", send_email=False)
        sent = scene.setting.emails(scene.address("ada"))
        if sent or result.email_sent:
            look_at = f"{place(scene.provider, 'invite')}: does it use `new.send_email`?"
            remark(expected="0 emails", came=f"{sent} emails", look_at=look_at)

    def _asked(self, scene: Scene, new: NewInvitation) -> list[str]:
        """What `invite` sends to change something. It does not reach the service: looks do."""
        wire = Holding(scene.wire, lambda: scene.spy.asked[-1][0].effect is Effect.READ)
        with suppress(GuestlistError):
            scene.run(scene.provider.invite(new), wire)
        return [f"{one.method} {one.url} {one.content!r}" for one in wire.held]

    def test_unknown_options_are_refused(self, scene: Scene) -> None:
        """An option that the provider does not know is an error that names the known ones.

        Likely cause: `Options` allows extra fields.
        """
        scene.needs("invite")
        with scene.refused(InvalidArgument, look_at="Options") as caught:
            scene.invite("ada", options={"no_such_option": 1})
        told = str(caught.error)
        if any(name not in told for name in scene.provider.Options.model_fields):
            remark(
                expected="the names of the known options",
                came=told,
                look_at=f"{type(scene.provider).__name__}.Options",
            )


def _with_other_secrets(provider: Provider) -> Mapping[str, str]:
    """What `authorize` makes of other secrets; nothing, where it can make nothing of them."""
    secret = [name for name, info in type(provider).model_fields.items() if is_secret(info)]
    changed = {name: f"{value}X" for name in secret if (value := getattr(provider, name))}
    try:
        return provider.model_copy(update=changed).authorize()
    except Exception:  # such as a private key, which is no longer one
        return {}


def _settings(scene: Scene) -> dict[str, Any]:
    """The settings that have a value."""
    return {name: value for name, value in scene.provider if value is not None}


def _complaint(kind: type[Provider], settings: dict[str, Any]) -> str:
    """What is said of settings that cannot be."""
    try:
        return f"no error: {kind(**settings)!r}"
    except ConfigError as error:
        return str(error)


def _untouched(scene: Scene, look_at: str) -> None:
    sent = [f"{outgoing.method} {outgoing.url}" for outgoing, _ in scene.wire.noted]
    scene.check(not sent, expected="nothing is sent", came=sent, look_at=look_at)
