"""The subject of a run: a provider, the sandbox of its service, and variations of both.

Each run draws one variation, so that the policy also meets facts and gaps that none of the
installed providers has: lists that lag, a service that refuses a second invitation, one that cannot
resend or has no search. A switch of the service that is named like a fact of the provider, with the
values `yes` and `no`, decides that fact; `duplicates` decides `refuses_duplicates`. Lists lag only
if the provider does not declare `list_lag`: a provider that declares 0 may rely on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import import_module
from random import Random
from typing import Any

from guestlist.errors import ConfigError
from guestlist.exchange.policy import Verdict, judge, refusal
from guestlist.models import Member
from guestlist.plugins import installed
from guestlist.provider import Flow, Page, Provider, Response, operation
from guestlist.sandbox import OrganizationService
from guestlist.sandbox.service import Service
from pytest_guestlist.simulation.world import SimulatedService, Time

BASE_URL = "http://127.0.0.1:1"
FACTS = ("resend_moves_expiry", "refuses_duplicates")
_YES = property(lambda _account: True)


@dataclass(frozen=True)
class Subject:
    """One variation of a provider and of its service."""

    provider: Provider
    service: type[Service]
    profile: str
    switches: dict[str, str] = field(default_factory=dict)
    page: int | None = None
    dated: bool = True

    def site(self, time: Time, random: Random) -> SimulatedService:
        """Returns a new instance of the service."""
        return SimulatedService(
            self.service,
            time,
            random,
            lag=self.provider.list_lag,
            page=self.page,
            dated=self.dated,
            profile=self.profile,
            switches=self.switches,
            refuses=self.refuses,
        )

    def refuses(self, response: Response) -> bool:
        """Returns whether an answer is a refusal: by its status, or inside a 2xx."""
        return judge(response) is not Verdict.DONE or bool(refusal(self.provider, response)[1])

    @property
    def logins_alone(self) -> float:
        """The share of calls that name a person by the login alone. Zero if an invitation does not
        show the login of the invited person."""
        return 0.0 if isinstance(self.provider, _WithLogins) else 0.5

    def login(self, site: SimulatedService, email: str) -> str | None:
        """Returns the login of the person with an address. None if the person has no account."""
        if isinstance(self.provider, _WithLogins):
            return invented_login(email)
        if not isinstance(site.service, OrganizationService):
            return None
        person = site.service.organization.person_with(email)
        return (person.login or None) if person else None

    def __str__(self) -> str:
        facts = {name: getattr(self.provider, name) for name in ("list_lag", "late_effect", *FACTS)}
        own = {"profile": self.profile, "page": self.page, "dated": self.dated}
        drawn = {**own, **facts, **self.switches}
        return f"{self.provider.title}: " + ", ".join(f"{key}={one}" for key, one in drawn.items())


def provider_named(name: str) -> type[Provider]:
    """Returns an installed provider that has a sandbox.

    Raises:
        ConfigError: there is no such provider with a sandbox.
    """
    found = with_sandbox()
    plain, _, variation = name.partition(":")
    if plain in found and variation == LOGINS:
        return with_logins(found[plain])
    if name not in found:
        raise ConfigError(
            f"there is no provider {name!r} with a sandbox",
            hint=f"There are: {', '.join(sorted(found)) or 'none'}.",
        )
    return found[name]


LOGINS = "logins"
"""The suffix for the variation `with_logins`, as in `vultr:logins`."""


def invented_login(email: str) -> str:
    """Returns the login of a person in a service of `with_logins`."""
    return email.partition("@")[0].replace(".", "-").lower()


class _WithLogins(Provider):
    """Marks the classes of `with_logins`."""


@lru_cache
def with_logins(provider: type[Provider]) -> type[Provider]:
    """Returns a variation of a provider whose members have logins instead of addresses, and cannot
    be searched by address. Invitations keep their addresses."""

    def hidden(member: Member) -> Member:
        login = invented_login(member.email) if member.email else member.login
        return member.model_copy(update={"email": None, "login": login})

    @operation
    def members(self: Any, cursor: str | None = None) -> Flow[Page[Member]]:
        page = yield from provider.members(self, cursor)
        return replace(page, items=[hidden(one) for one in page.items])

    @operation
    def get_member(self: Any, id: str) -> Flow[Member]:
        return hidden((yield from provider.get_member(self, id)))

    changed: dict[str, Any] = {"members_show_emails": False, "members": members}
    changed["find_member"] = Provider.find_member
    if provider.supports("get_member"):
        changed["get_member"] = get_member
    module = {"__module__": provider.__module__}
    return type(provider.__name__, (_WithLogins, provider), {**module, **changed})


def with_sandbox() -> dict[str, type[Provider]]:
    """Returns the installed providers that have a sandbox, by name."""
    return {name: kind for name, kind in installed().providers.items() if kind.sandbox}


@lru_cache
def service_of(provider: type[Provider]) -> type[Service]:
    """Returns the sandbox of a provider's service."""
    module, _, name = (provider.sandbox or "").partition(":")
    found: type[Service] = getattr(import_module(module), name)
    return found


def draw(provider: type[Provider], random: Random, *, as_usual: bool = False) -> Subject:
    """Draws a variation.

    Args:
        as_usual: whether all switches of the service keep their defaults.
    """
    service = service_of(provider)
    switches = {
        name: one.values[0] if as_usual or random.random() < 0.6 else random.choice(one.values)
        for name, one in sorted(service.switches.items())
    }
    moves = "resend_moves_expiry"
    if moves in switches and not as_usual:
        switches[moves] = random.choice(service.switches[moves].values)
    facts: list[tuple[str, Any]] = []
    if random.random() < 0.4 and not _declares(provider, "list_lag"):
        facts.append(("list_lag", 3.0))
    if random.random() < 0.3:
        facts.append(("late_effect", 6.0))
    if switches.get(moves) in ("yes", "no"):
        facts.append((moves, switches[moves] == "yes"))
    if switches.get("duplicates") == "refuse" and random.random() < 0.5:
        facts.append(("refuses_duplicates", _YES))
    without = []
    if provider.supports("revoke") and provider.supports("resend") and random.random() < 0.2:
        without.append("resend")
    listed = provider.supports("find_invitation") and provider.supports("invitations")
    complete = all(switches[name] == one.values[0] for name, one in service.switches.items())
    if listed and complete:
        without.append("find_invitation")
    kind = _variation(provider, tuple(facts), tuple(without))
    profile = random.choice(service.profiles)
    return Subject(
        provider=kind(**_settings(provider, profile, tuple(switches.items()))),
        service=service,
        profile=profile,
        switches=switches,
        page=2 if random.random() < 0.5 else None,
    )


def _declares(provider: type[Provider], fact: str) -> bool:
    """Returns whether a provider class gives a fact a value itself, even if that is the default."""
    kinds = provider.__mro__[: provider.__mro__.index(Provider)]
    return any(fact in vars(kind) for kind in kinds)


@lru_cache(maxsize=1024)
def _settings(
    provider: type[Provider], profile: str, switches: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    """Returns the settings that reach the service in this variation."""
    chosen: dict[str, Any] = dict(switches)
    return dict(service_of(provider)(profile=profile, **chosen).settings(BASE_URL))


@lru_cache(maxsize=1024)
def _variation(
    provider: type[Provider], facts: tuple[tuple[str, Any], ...], without: tuple[str, ...]
) -> type[Provider]:
    changed = {**dict(facts), **{name: getattr(Provider, name) for name in without}}
    if not changed:
        return provider
    module = {"__module__": provider.__module__}
    return type(provider.__name__, (provider,), {**module, **changed})
