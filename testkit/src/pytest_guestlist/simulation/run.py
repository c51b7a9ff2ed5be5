"""One run: draws a service, calls and faults from a seed, runs them, and checks the result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

from guestlist import verbs
from guestlist.errors import GuestlistError, SeatLimit
from guestlist.event import Event
from guestlist.exchange.account import Budget
from guestlist.exchange.policy import refusal
from guestlist.exchange.step import Steps
from guestlist.models import Guest, NewInvitation, Role, State
from guestlist.provider import NEVER, Flow, Provider
from guestlist.verbs import Accounts, Walk
from pytest_guestlist.calling import call_service
from pytest_guestlist.simulation.checker import Violation, check_simulation
from pytest_guestlist.simulation.driver import Caller, Client, SimulatedDriver
from pytest_guestlist.simulation.faults import FaultScheduler, Kinds
from pytest_guestlist.simulation.subject import Subject, draw
from pytest_guestlist.simulation.world import (
    ClientClock,
    SimulatedService,
    Time,
    later,
    open_emails,
)
from pytest_guestlist.spy import Spy

ADDRESSES = ("ada@example.com", "Grace.Hopper@example.com")

STARTS = (0.0, 0.0, 0.1, 3.0, 20.0, 50.0)
"""Seconds after the start of the run at which a call may begin."""

PASTS = ("new", "new", "open", "open", "expired", "member", "removed")
"""The state of an address when a run begins."""

VERBS = (
    ("invite", 45),
    ("resend", 16),
    ("revoke", 9),
    ("remove", 7),
    ("assign_role", 7),
    ("unassign_role", 3),
    ("status", 5),
    ("wait", 4),
    ("invitations", 2),
    ("members", 2),
)
"""The called verbs, with their shares in percent."""

BUDGETS = (
    Budget(),
    Budget(),
    Budget(total=90.0, attempts=3, timeout=10.0),
    Budget(total=300.0, attempts=2, timeout=5.0),
    Budget(total=20.0, timeout=5.0),
    Budget(total=4.0, attempts=1, timeout=2.0),
)

PATIENT = Budget(total=300.0, timeout=3.0)
"""Enough time for two grace periods."""


@dataclass
class Simulation:
    """A finished run.

    Attributes:
        violations: the promises that were broken.
        lines: one line for each step; empty unless `verbose` was set.
    """

    seed: int
    subject: Subject
    site: SimulatedService
    callers: list[Caller]
    events: list[Event] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    stepped: bool = False
    """Whether a client's wall clock was stepped or wrong."""
    violations: list[Violation] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def misled(self) -> bool:
        """Whether a client had a wrong clock, and the service reported no time."""
        return self.stepped and not self.subject.dated

    def verdicts(self) -> Counter[tuple[str, str]]:
        """Returns the number of calls by fault and verdict."""
        found: Counter[tuple[str, str]] = Counter()
        for caller in self.callers:
            met = {one.fault.name for one in caller.sent if one.fault is not None}
            if caller.interruption is not None:
                met.add("interrupted")
            if self.site.lagged:
                met.add("list lag")
            if self.stepped:
                met.add("clock stepped")
            for name in met or {"(none)"}:
                found[name, verdict(caller)] += 1
        return found


def usable(subject: Subject) -> bool:
    """Returns whether inviting is possible: some switches of a service forbid it."""
    time = Time()
    random = Random(0)
    site = subject.site(time, random)
    world = _World(random, random, random, subject, time, site, lambda _text: None)
    try:
        world.invite_somebody()
    except GuestlistError:
        return False
    return True


def verdict(caller: Caller) -> str:
    """Returns the verdict of a call; see `report.VERDICTS`."""
    error = caller.error
    if error is None:
        looked = getattr(caller.value, "email_sent", False) is None
        return "found by lookup" if looked else "done"
    if error is caller.interruption:
        return "interrupted"
    happened = getattr(error, "happened", None)
    return {False: "failed", True: "happened", None: "unknown"}[happened]


def simulate(seed: int, provider: type[Provider], *, verbose: bool = False) -> Simulation:
    """Runs one seed. The same seed and provider give the same run, step by step."""
    # The names of the last two are part of their seeds: with others, known failures would not
    # repeat.
    random, later_draws, naming = Random(seed), Random(f"aside {seed}"), Random(f"naming {seed}")
    subject = draw(provider, random)
    if not usable(subject):
        subject = draw(provider, random, as_usual=True)
    subject = replace(subject, dated=later_draws.random() < 0.5)
    time = Time()
    lines: list[str] = []

    def log(text: str) -> None:
        if verbose:
            lines.append(f"{time.now:9.3f}  {text}")

    site = subject.site(time, random)
    world = _World(random, later_draws, naming, subject, time, site, log)
    world.prepare()
    faults = FaultScheduler(random, of=world.faults)
    late_effect = subject.provider.late_effect
    driver = SimulatedDriver(time, site, faults, random, world.secrets, log, late_effect)
    callers = world.calls()
    for caller in callers:
        driver.start(caller)
    stepped = world.schedule_events()
    log(f"seed {seed}: {subject}")
    log(f"faults: {faults.rate:.0%} of requests, of {', '.join(one.name for one in faults.kinds)}")
    time.run()
    run = Simulation(
        seed, subject, site, callers, world.events, world.secrets(), stepped, lines=lines
    )
    run.violations = check_simulation(run)
    for violation in run.violations:
        log(f"VIOLATION {violation}")
    return run


class _World:
    """Draws the records from before the run, the calls, and events such as acceptances.

    Args:
        random: the source of most choices.
        later_draws: the source of choices that were added later, so that a seed that once failed
            stays the same run.
        naming: decides whether a call names a person by the login, if the service has logins.
    """

    def __init__(
        self,
        random: Random,
        later_draws: Random,
        naming: Random,
        subject: Subject,
        time: Time,
        site: SimulatedService,
        log: Callable[[str], None],
    ) -> None:
        self._random = random
        self._later_draws = later_draws
        self._naming = naming
        self._subject = subject
        self._provider = subject.provider
        self._time = time
        self._site = site
        self._log = log
        self.events: list[Event] = []
        self._addresses = ADDRESSES[: random.choice((1, 1, 2))]
        self._clients = [self._client(name) for name in ("A", "B")[: random.choice((1, 1, 2))]]
        self._roles: list[Role] = []
        self._rush = random.random() < 0.2
        """Whether all calls begin within the second in which the invitation was made."""
        self.patient = not self._rush and random.random() < 0.2
        """Whether there is one invitation, late effects, and enough time for the final lookup."""
        self._crowd = not self._rush and not self.patient and later_draws.random() < 0.15
        """Whether several calls of one client invite one new address at the same time."""
        if self._crowd:
            self._addresses, self._clients = self._addresses[:1], self._clients[:1]
        self._lossy = self._rush and later_draws.random() < 0.5
        """Whether answers are lost after the service has acted."""

    @property
    def faults(self) -> Kinds | None:
        """The group of faults for this kind of run; None for any."""
        if self.patient:
            return Kinds.LATE
        return Kinds.ACTED if self._lossy else None

    def secrets(self) -> list[str]:
        """Returns the texts that must never be shown: the credentials, and the tokens in links of
        emails. A token that is the id of the invitation is not secret: the service shows it."""
        held = [
            (re.split(r"[=/#]", mail.link)[-1], mail.invitation)
            for mail in self._site.outbox.emails
            if mail.link
        ]
        return [*self._provider.secrets(), *(key for key, id in held if key != id)]

    # ------------------------------------------------------------------ before

    def prepare(self) -> None:
        """Creates the members and invitations from before the run."""
        provider = self._provider
        if provider.supports("roles"):
            self._roles = list(self._plainly(provider.roles()).items)
        for number in range(self._random.choice((0, 0, 1, 3, 3))):
            self._invite(f"other{number}@example.com")
        for email in self._addresses:
            past = "open" if self._rush else self._random.choice(PASTS)
            past = "new" if self.patient or self._crowd else past
            if past == "new":
                continue
            if not self._invite(email):
                continue
            lifetime = provider.lifetime
            if past == "expired" and lifetime is not None and lifetime != NEVER:
                self._time.now += later(lifetime)
            if past in ("member", "removed"):
                self._accept(email)
            if past == "removed" and provider.supports("remove"):
                self._remove(email)
                # The Date header has whole seconds, so the lists seem to lag for a second more.
                self._time.now += 1.0 if provider.list_lag else 0.0
        pauses = (0.0,) if self._rush else (0.0, 0.3, 5.0, 3600.0)
        self._time.now += provider.list_lag + self._random.choice(pauses)
        self._site.restart_history()

    def _invite(self, email: str) -> bool:
        """Invites a person, unless the organization is full."""
        try:
            self._plainly(self._provider.invite(self._new_invitation(email)))
        except SeatLimit:
            return False
        return True

    def invite_somebody(self) -> None:
        """Invites an invented person, without faults.

        Raises:
            GuestlistError: that is not possible.
        """
        if self._provider.supports("roles"):
            self._roles = list(self._plainly(self._provider.roles()).items)
        self._plainly(self._provider.invite(self._new_invitation("somebody@example.com")))

    def _plainly(self, flow: Flow[Any]) -> Any:
        """Runs a flow against the service, without faults and in no time. Fetches an access token
        first if the service issues tokens and there is none."""
        account = self._clients[0].account
        if self._provider.supports("fetch_token") and account.token is None:
            token = self._run(account, account.fetch_token())
            account.keep_token(token, account.clock.monotonic())
        return self._run(account, flow)

    def _run(self, account: Spy, flow: Flow[Any]) -> Any:
        try:
            request = next(flow)
            while True:
                outgoing = account.outgoing(request, Budget())
                response = call_service(self._site.service, outgoing)
                _, error = refusal(self._provider, response)
                if not 200 <= response.status < 300:
                    error = self._provider.explain(response)
                request = flow.throw(error) if error else flow.send(response)
        except StopIteration as done:
            self._time.now += 0.05  # stays below the service's limits
            return done.value

    def _accept(self, email: str) -> None:
        self._site.restart_history()
        for mail in open_emails(self._site, [email]):
            self._site.service.accept(mail.invitation)
            break

    def _remove(self, email: str) -> None:
        provider, cursor = self._provider, None
        ids = self._site.members(email)
        while True:
            page = self._plainly(provider.members(cursor))
            for member in page.items:
                if member.id in ids:
                    self._plainly(provider.remove(member))
                    return
            if page.next is None:
                return
            cursor = page.next

    def _new_invitation(self, email: str) -> NewInvitation:
        roles = self._offered() if self._provider.least_roles else ()
        return NewInvitation(email=email, roles=roles, options=self._provider.Options())

    def _offered(self) -> tuple[Role, ...]:
        """Returns the role that invitations offer, if there are roles."""
        kind = type(self._provider)
        fits = [
            role
            for role in self._roles
            if not role.not_assignable and kind.split_roles((role,))[0] and not kind.lacks((role,))
        ]
        return tuple(fits[-1:])

    # ------------------------------------------------------------------ callers

    def _client(self, name: str) -> Client:
        clock = ClientClock(self._time)
        account = Spy(
            name,
            self._provider,
            clock,
            watch=self.events.append,
            random=Random(self._random.getrandbits(32)),
        )
        return Client(name, account, clock)

    def calls(self) -> list[Caller]:
        """Draws the calls of the run."""
        number = 1 if self.patient else self._random.choice((1, 1, 2, 3, 4))
        number = max(2, number) if self._crowd else number
        return [self._call(one) for one in range(1, number + 1)]

    def _call(self, number: int) -> Caller:
        random = self._random
        client = random.choice(self._clients)
        email = random.choice(self._addresses)
        names, weights = zip(*VERBS, strict=True)
        verb: str = "resend" if self._rush and number == 1 else random.choices(names, weights)[0]
        verb = "invite" if self.patient or self._crowd else verb
        budget = PATIENT if self.patient else random.choice(BUDGETS)
        accounts = Accounts({client.name: client.account}, budget=budget)
        arguments = self._draw_arguments(verb)
        who = self._who(client, verb, email, arguments)
        return Caller(
            number=number,
            client=client,
            verb=verb,
            arguments=arguments,
            email=email,
            steps=self._steps(accounts, verb, who, arguments),
            login_alone=who[1:] if isinstance(who, str) and who.startswith("@") else None,
            starts=self._time.now + (0.0 if self._rush or self._crowd else random.choice(STARTS)),
            interrupt=random.randint(1, 12) if random.random() < 0.12 else None,
            budget=accounts.budget,
        )

    def _draw_arguments(self, verb: str) -> dict[str, Any]:
        random, provider = self._random, self._provider
        arguments: dict[str, Any] = {}
        if verb == "invite":
            ways = ["return", "return", "error", "resend"]
            if self._crowd:
                ways = ways[:3]
            elif provider.supports("revoke"):
                ways.append("replace")
            arguments["if_exists"] = random.choice(ways)
            for role in self._offered() if provider.least_roles else ():
                arguments["role"] = role if random.random() < 0.5 else role.id
            if provider.can_suppress_email and random.random() < 0.15:
                arguments["send_email"] = False
        if verb in ("assign_role", "unassign_role"):
            arguments["role"] = random.choice(self._roles) if self._roles else "any"
        if verb == "wait":
            arguments["timeout"] = random.choice((5.0, 40.0))
        return arguments

    def _steps(
        self, accounts: Accounts, verb: str, who: str | Guest, arguments: dict[str, Any]
    ) -> Steps[Any]:
        method = getattr(verbs, verb)
        if verb in ("invitations", "members"):
            return _walk(method(accounts))
        given: Steps[Any] = method(accounts, who, **arguments)
        return given

    def _who(self, client: Client, verb: str, email: str, arguments: dict[str, Any]) -> str | Guest:
        """Returns how a call names a person; adds the login to what `invite` and `status` get."""
        login = None if verb in ("invitations", "members") else self._login(email)
        if login is None:
            return email
        if verb in ("invite", "status"):
            arguments["login"] = login
            return email
        if self._naming.random() < self._subject.logins_alone:
            return f"@{login}"
        return Guest(account=client.name, email=email, login=login, state=State.UNKNOWN)

    def _login(self, email: str) -> str | None:
        """Returns the login by which a call names a person; None if it uses the address only."""
        if self._provider.members_show_emails or self._naming.random() < 0.4:
            return None
        return self._subject.login(self._site, email)

    # ------------------------------------------------------------------ events in between

    def schedule_events(self) -> bool:
        """Schedules clicks of invitees and steps of wall clocks, or sets a clock wrong from the
        start.

        Returns:
            Whether a clock is wrong.
        """
        random = self._random
        if random.random() < 0.3:
            service = self._site.service
            action = random.choice((service.accept, service.accept, service.decline))
            self._time.at(self._time.now + random.uniform(0, 60), partial(self._click, action))
        stepped = random.random() < (0.3 if self.patient else 0.12)
        if stepped:
            client = random.choice(self._clients)
            by = random.choice((-86400.0, -30.0, -1.0, 1.0, 30.0, 3600.0, 5 * 86400.0, 30 * 86400))
            self._time.at(
                self._time.now + random.uniform(0, 30), partial(self._step_clock, client, by)
            )
        wrong = self._later_draws.random() < 0.1
        if wrong:
            days = self._later_draws.choice((-30, -1, 5, 30))
            self._step_clock(self._later_draws.choice(self._clients), days * 86400.0)
        return stepped or wrong

    def _click(self, action: Callable[[str], None]) -> None:
        for mail in open_emails(self._site, self._addresses):
            done = self._site.click(action, mail.invitation)
            self._log(
                f"    {mail.to} clicks {action.__name__}" + ("" if done else ", but is refused")
            )
            return

    def _step_clock(self, client: Client, by: float) -> None:
        client.clock.offset += by
        self._log(f"    the wall clock of {client.name} is stepped by {by:g} s")


def _walk(walk: Walk[Any]) -> Steps[list[Any]]:
    items: list[Any] = []
    while (more := (yield from walk.more())) is not None:
        items += more
    return items
