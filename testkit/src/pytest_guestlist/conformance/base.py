"""What all parts of the suite share: the author's attributes, and the fixtures."""

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
from pytest_guestlist.conformance.remark import note_exchange, remarking, ruling
from pytest_guestlist.conformance.scene import Scene
from pytest_guestlist.conformance.setting import SandboxSetting, Setting
from pytest_guestlist.conformance.tour import Ended, Guide, Sample, Tour, lead

TELLING = ("find_invitation", "get_invitation", "invitations", "invite", "resend")
"""Those that tell of invitations."""

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
"""Those that callers know as verbs: without one, they have to learn what to do instead."""


NOTHING = {
    "missing": "every operation of the contract is offered",
    "missing_verb": "every verb is offered",
    "option": "an invitation has no option that is on or off",
    "text_option": "an invitation has no option that is a text",
    "own": "every operation is one of the contract",
    "shown": "`documented` is empty: paste there what the documentation shows",
}
"""Why a test has nothing to do, by its argument."""


class Rules:
    """One provider under test.

    Attributes:
        service: the class of the provider's sandbox. Without one, override `setting`.
        kind: the provider class; by default the installed one with the service's name.
        facts: the profile and the switches of the sandbox.
        cassettes: the folder of the recordings. If it is set, the suite replays what was recorded
            from `setting`, and records it with `--guestlist-record`.
        public_fields: fields of answers that are named like a secret, such as `html_url`, and hold
            none.
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

    def setting(self) -> Setting:
        """Returns a new setting. Override it for a live service."""
        if self.service is None:
            raise TypeError(f"{type(self).__name__} needs a `service`, or a `setting` of its own")
        return SandboxSetting(self.service, self.provider_class(), **self.facts)

    @classmethod
    def provider_class(cls) -> type[Provider]:
        """The provider under test."""
        if cls.kind is not None:
            return cls.kind
        if cls.service is None:
            raise TypeError(f"{cls.__name__} needs a `service`, or a `kind` and a `setting`")
        return installed().provider(cls.service.name)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each operation that there is, or is not."""
        try:
            choices = self.choices()
        except ConfigError as error:
            pytest.fail(f"{error} Or name its class in `kind`.", pytrace=False)
        for argument, names in choices.items():
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, names or [_none(argument)])

    @classmethod
    def choices(cls) -> dict[str, Sequence[Any]]:
        """What each test is run for that has an argument of that name."""
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
            "telling": [name for name in offered if name in TELLING],
            "missing": [
                name for name in CONTRACT if not kind.supports(name) and name not in SHORTCUTS
            ],
            "missing_verb": [name for name in VERBS if not kind.supports(name)],
        }

    @pytest.fixture(autouse=True)
    def _rule(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """What the test says of itself is the rule that its remarks name."""
        with ruling(str(request.function.__doc__)):
            yield

    @pytest.fixture
    def provider_kind(self) -> type[Provider]:
        """The provider under test."""
        return self.provider_class()

    @classmethod
    @contextmanager
    def on_stage(cls, request: pytest.FixtureRequest, name: str) -> Iterator[Scene]:
        """A scene: in a fresh setting, in one that is being recorded, or in a recorded one."""
        with ExitStack() as ending:
            if cls.cassettes is None:
                setting = cls().setting()
            else:
                from pytest_guestlist.conformance.recorded import recording, replaying

                if request.config.getoption("--guestlist-record"):
                    true = cls().setting()
                    source = true.source
                    setting = ending.enter_context(recording(cls.cassettes, name, true, source))
                else:
                    kind = cls.provider_class()
                    setting = ending.enter_context(replaying(cls.cassettes, name, kind))
            scene = Scene(setting, cls.role, joins_at_once=cls.joins_at_once)
            ending.callback(scene.close)
            yield scene

    @classmethod
    def remarked(cls) -> AbstractContextManager[None]:
        """In which an error that nobody expected becomes a remark."""
        others = [cls] if cls.service is None else [cls, cls.service]
        return remarking(cls.provider_class(), *others)

    @pytest.fixture
    def scene(self, request: pytest.FixtureRequest) -> Iterator[Scene]:
        """A fresh setting with a client in it."""
        with self.on_stage(request, _name(request)) as scene:
            yield scene

    @pytest.fixture
    def another_scene(self, request: pytest.FixtureRequest) -> Iterator[Scene]:
        """A second one, for tests that compare with the tour."""
        with self.on_stage(request, f"{_name(request)}.again") as scene:
            yield scene

    @pytest.fixture(scope="class")
    @classmethod
    def _led(cls, request: pytest.FixtureRequest) -> Iterator[Tour | Ended]:
        led: Tour | Ended
        with ExitStack() as staged:
            try:
                with ExitStack() as trial:
                    scene = trial.enter_context(cls.on_stage(request, "tour"))
                    with ruling("every operation is run once"), cls.remarked():
                        led = lead(scene, cls.detour)
                    staged.enter_context(trial.pop_all())
            except pytest.fail.Exception as failure:
                led = Ended(str(failure))
            yield led

    @pytest.fixture
    def tour(self, _led: Tour | Ended) -> Tour:
        """Every operation, run once and recorded."""
        if isinstance(_led, Ended):
            _led.tell()
        return _led

    @classmethod
    def detour(cls, guide: Guide, member: Member) -> None:
        """Runs the operations that the contract does not know, as a part of the walkthrough.
        Override it if the provider has such operations:

            guide.take("suspend", member)
            assert [one.id for one in guide.take("suspended").items] == [member.id]
        """


def _takes_text(field: FieldInfo) -> bool:
    return str in (field.annotation, *get_args(field.annotation))


def _none(argument: str) -> Any:
    """What a test is run for where there is nothing: it is skipped, with the reason."""
    reason = NOTHING.get(argument, "the provider has no such operation")
    return pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))


def _name(request: pytest.FixtureRequest) -> str:
    """The test's name as that of a file."""
    return re.sub(r"[^\w-]+", "-", request.node.name).strip("-")


def samples_of(tour: Tour, operation: str) -> list[Sample]:
    """The samples of one operation: several where a list has several pages.

    Skips the test where the setting could not run it.
    """
    found = [one for one in tour.samples.values() if one.name == operation]
    if not found:
        unknown = "the walkthrough does not know it. Run it in `detour` of the suite"
        pytest.skip(tour.lacking.get(operation, f"{operation} was not run: {unknown}"))
    for outgoing, answer in (one for sample in found for one in sample.played):
        note_exchange(outgoing, answer)
    return found


def sent_by(tour: Tour, operation: str) -> list[Sample]:
    """The same of an operation that sends something: some know their answer without asking."""
    found = [one for one in samples_of(tour, operation) if one.played]
    if not found:
        pytest.skip(f"{operation} asks the service nothing")
    return found


def one_of_each_effect(tour: Tour) -> list[Sample]:
    """Returns the first sample of each combination of effects that the operations send.

    For rules that guestlist itself keeps, whichever operation runs: retries, pauses, redirects and
    masking depend on the effects of the requests only.
    """
    found: dict[frozenset[Effect], Sample] = {}
    for sample in tour.samples.values():
        if sample.played:
            found.setdefault(frozenset(one.effect for one in sample.requests), sample)
    if not found:
        pytest.skip("no operation sends anything")
    return list(found.values())
