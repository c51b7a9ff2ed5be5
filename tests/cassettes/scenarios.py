"""Scenarios of one service, each recorded in two shapes of its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def scenarios(
    service: str, usual: str, other: str, **with_other: str
) -> Callable[..., pytest.MarkDecorator]:
    """Makes the mark of a scenario: a test for each profile, with a cassette each.

    Args:
        service: whose scenarios they are.
        usual: the profile that the sandbox has by default, and cassettes of the real service.
        other: the other profile.
        with_other: switches that go with the other profile.
    """

    def scenario(name: str, *, live: bool = True, **switches: str) -> pytest.MarkDecorator:
        named = pytest.mark.guestlist_cassette
        more: dict[str, Any] = {"switches": {service: switches}} if switches else {}
        by_default = named(f"{service}/{name}", live=live, **more)
        if with_other:
            more = {"switches": {service: {**with_other, **switches}}}
        otherwise = named(f"{service}/{name}.{other}", profiles={service: other}, **more)
        return pytest.mark.parametrize(
            "profile",
            [pytest.param(usual, marks=by_default), pytest.param(other, marks=otherwise)],
        )

    return scenario
