"""The base of all test classes of the suite: the author's attributes, and the fixtures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from pydantic.fields import FieldInfo

from guestlist.errors import ConfigError
from guestlist.models import Member
from guestlist.plugins import installed
from guestlist.provider import Effect, Provider
from guestlist.sandbox import Service
from pytest_guestlist.checking import CHANGING, CONTRACT, READING, SHORTCUTS
from pytest_guestlist.conformance.backend import Backend, SandboxBackend
from pytest_guestlist.conformance.finding import errors_as_findings, note_exchange, under_rule
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.walkthrough import (
    FailedWalkthrough,
    Sample,
    Walkthrough,
    WalkthroughRunner,
    run_walkthrough,
)

INVITATION_OPERATIONS = ("find_invitation", "get_invitation", "invitations", "invite", "resend")
"""The operations that return invitations."""

VERBS = (
    "access",
    "assign_role",
    "invitations",
    "invite",
    "members",
    "remove",
    "revoke",
    "roles",
    "unassign_role",
)
"""The operations behind methods of a client. If one is missing, an error must name a substitute."""


EMPTY_REASONS = {
    "missing": "every operation of the contract is offered",
    "missing_verb": "every verb is offered",
    "option": "an invitation has no option that is on or off",
    "text_option": "an invitation has no option that is a text",
    "own": "every operation is one of the contract",
    "example": "`documented` is empty: paste there what the documentation shows",
}
"""The reason for skipping a parametrized test without parameters, by its argument."""

_choices: dict[type, dict[str, Sequence[Any]]] = {}
"""The parameters of tests, by their class."""


class ProviderRules:
    """One provider under test.

    Attributes:
        service: the class of the provider's sandbox. Without one, override `backend`.
        kind: the provider class; by default the installed one with the service's name.
        facts: the profile and the switches of the sandbox.
        cassettes: the folder of the recordings. If it is set, the suite replays what was recorded
            from `backend`, and records it with `--guestlist-record`.
        public_fields: fields of answers that are named like a secret, such as `html_url`, but are
            not secret.
        role: the role that invitations offer, by id, name or `kind:name`; by default the last one
            that the service lists. Set it, so that the suite notices a list that is read wrongly.
        joins_at_once: whether the service has no invitations, so that `invite` always returns a
            member.
    """

    cassettes: ClassVar[Path | None] = None
    service: ClassVar[type[Service] | None] = None
    kind: ClassVar[type[Provider] | None] = None
    facts: ClassVar[dict[str, str]] = {}
    public_fields: ClassVar[frozenset[str]] = frozenset()
    role: ClassVar[str | None] = None
    joins_at_once: ClassVar[bool] = False

    def backend(self) -> Backend:
        """Returns a new backend. Override it for a live service."""
        if self.service is None:
            raise TypeError(f"{type(self).__name__} needs a `service`, or a `backend` of its own")
        return SandboxBackend(self.service, self.provider_class(), **self.facts)

    @classmethod
    def provider_class(cls) -> type[Provider]:
        """Returns the class of the provider under test."""
        if cls.kind is not None:
            return cls.kind
        if cls.service is None:
            raise TypeError(f"{cls.__name__} needs a `service`, or a `kind` and a `backend`")
        return installed().provider(cls.service.name)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrizes tests with the operations that the provider has or lacks."""
        rules = type(self)
        try:
            choices = _choices.get(rules) or _choices.setdefault(rules, rules.choices())
        except ConfigError as error:
            pytest.fail(f"{error} Or name its class in `kind`.", pytrace=False)
        for argument, names in choices.items():
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, names or [_none(argument)])

    @classmethod
    def choices(cls) -> dict[str, Sequence[Any]]:
        """Returns the parameters of tests, by the name of the test's argument."""
        kind = cls.provider_class()
        offered = [name for name in CONTRACT if kind.supports(name)]
        own = [name for name in kind.operations() if name not in CONTRACT]
        return {
            "operation": [*offered, *own],
            "own": own,
            "option": [
                name
                for name, field in kind.Options.model_fields.items()
                if isinstance(field.default, bool)
            ],
            "text_option": [
                name for name, field in kind.Options.model_fields.items() if _takes_text(field)
            ],
            "reading": [name for name in offered if name in READING],
            "changing": [name for name in offered if name in CHANGING],
            "getting": [name for name in offered if name.startswith("get_")],
            "finding": [name for name in offered if name.startswith(("find_", "get_"))],
            "invitation_operation": [name for name in offered if name in INVITATION_OPERATIONS],
            "missing": [
                name for name in CONTRACT if not kind.supports(name) and name not in SHORTCUTS
            ],
            "missing_verb": [name for name in VERBS if not kind.supports(name)],
        }

    @pytest.fixture(autouse=True)
    def _rule(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Uses the docstring of the test as the rule in its failures."""
        with under_rule(str(request.function.__doc__)):
            yield

    @pytest.fixture
    def provider_kind(self) -> type[Provider]:
        """The provider under test."""
        return self.provider_class()

    @classmethod
    @contextmanager
    def open_harness(cls, request: pytest.FixtureRequest, name: str) -> Iterator[Harness]:
        """Yields a harness whose backend is new, being recorded, or replayed."""
        with ExitStack() as ending:
            if cls.cassettes is None:
                backend = cls().backend()
            else:
                from pytest_guestlist.conformance.recorded import recording, replaying

                if request.config.getoption("--guestlist-record"):
                    true = cls().backend()
                    source = true.source
                    backend = ending.enter_context(recording(cls.cassettes, name, true, source))
                else:
                    kind = cls.provider_class()
                    backend = ending.enter_context(replaying(cls.cassettes, name, kind))
            harness = Harness(backend, cls.role, joins_at_once=cls.joins_at_once)
            ending.callback(harness.close)
            yield harness

    @classmethod
    def reporting_errors(cls) -> AbstractContextManager[None]:
        """Returns a context in which an unexpected error fails the test with an explanation."""
        others = [cls] if cls.service is None else [cls, cls.service]
        return errors_as_findings(cls.provider_class(), *others)

    @pytest.fixture
    def harness(self, request: pytest.FixtureRequest) -> Iterator[Harness]:
        """A harness with a new backend."""
        with self.open_harness(request, _name(request)) as harness:
            yield harness

    @pytest.fixture
    def second_harness(self, request: pytest.FixtureRequest) -> Iterator[Harness]:
        """A second harness, for tests that compare two runs."""
        with self.open_harness(request, f"{_name(request)}.again") as harness:
            yield harness

    @pytest.fixture(scope="class")
    @classmethod
    def _walkthrough_result(
        cls, request: pytest.FixtureRequest
    ) -> Iterator[Walkthrough | FailedWalkthrough]:
        result: Walkthrough | FailedWalkthrough
        with ExitStack() as staged:
            try:
                with ExitStack() as trial:
                    harness = trial.enter_context(cls.open_harness(request, "walkthrough"))
                    with under_rule("every operation is run once"), cls.reporting_errors():
                        result = run_walkthrough(harness, cls.extra_operations)
                    staged.enter_context(trial.pop_all())
            except pytest.fail.Exception as failure:
                result = FailedWalkthrough(str(failure))
            yield result

    @pytest.fixture
    def walkthrough(self, _walkthrough_result: Walkthrough | FailedWalkthrough) -> Walkthrough:
        """The recorded walkthrough of the class: every operation, run once."""
        if isinstance(_walkthrough_result, FailedWalkthrough):
            _walkthrough_result.fail_or_skip()
        return _walkthrough_result

    @classmethod
    def extra_operations(cls, runner: WalkthroughRunner, member: Member) -> None:
        """Runs operations that are not part of the contract, during the walkthrough. Override it if
        the provider has such operations:

            runner.run("suspend", member)
            assert [one.id for one in runner.run("suspended").items] == [member.id]
        """


def _takes_text(field: FieldInfo) -> bool:
    return str in (field.annotation, *get_args(field.annotation))


def _none(argument: str) -> Any:
    """Returns a parameter that skips the test, with the reason."""
    reason = EMPTY_REASONS.get(argument, "the provider has no such operation")
    return pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))


def _name(request: pytest.FixtureRequest) -> str:
    """Returns the name of the test without characters that files cannot have in their names."""
    return re.sub(r"[^\w-]+", "-", request.node.name).strip("-")


def samples_of(walkthrough: Walkthrough, operation: str) -> list[Sample]:
    """Returns the samples of one operation: one for each page of a list.

    Skips the test if the walkthrough could not run the operation.
    """
    found = [one for one in walkthrough.samples.values() if one.name == operation]
    if not found:
        unknown = "run it in `extra_operations` of the suite"
        pytest.skip(walkthrough.skipped.get(operation, f"{operation} was not run: {unknown}"))
    for outgoing, answer in (one for sample in found for one in sample.played):
        note_exchange(outgoing, answer)
    return found


def samples_with_requests(walkthrough: Walkthrough, operation: str) -> list[Sample]:
    """Returns the samples of an operation that sent a request. Skips the test if there are none."""
    found = [one for one in samples_of(walkthrough, operation) if one.played]
    if not found:
        pytest.skip(f"{operation} sends no request")
    return found


def one_of_each_effect(walkthrough: Walkthrough) -> list[Sample]:
    """Returns the first sample of each combination of effects that the operations send.

    For rules that guestlist itself follows: retries, pauses, redirects and masking depend only on
    the effects of the requests.
    """
    found: dict[frozenset[Effect], Sample] = {}
    for sample in walkthrough.samples.values():
        if sample.played:
            found.setdefault(frozenset(one.effect for one in sample.requests), sample)
    if not found:
        pytest.skip("no operation sends anything")
    return list(found.values())
