"""What the rules about people share: judging, and letting time pass."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from guestlist.testing.conformance.remark import place, remark
from guestlist.testing.conformance.scene import Scene

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def check(
    good: bool, test: Any, scene: Scene, *, expected: object, came: object, look_at: str
) -> None:
    """Remarks that the rule of a test is not kept, unless it is."""
    if not good:
        remark(
            " ".join(str(test.__doc__).split()),
            expected=expected,
            came=came,
            look_at=", ".join(place(scene.provider, name) for name in look_at.split()),
        )


def expire(scene: Scene, name: str) -> None:
    """Lets time pass until somebody's invitation has lapsed."""
    found = scene.status(name).invitation
    if found is None or found.expires_at is None:
        pytest.skip("nobody knows when invitations expire here")
    scene.setting.forward(found.expires_at - scene.setting.clock.now() + HOUR)
