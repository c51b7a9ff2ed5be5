"""An event has a known name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from guestlist import Event, EventName

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("name", EventName)
def test_the_name_is_a_word(name: EventName) -> None:
    assert str(Event(name, "cloud", "vultr", NOW)).startswith(f"cloud: {name.value}")


def test_a_name_with_a_typo_is_refused() -> None:
    name: Any = "anwser"
    with pytest.raises(ValueError, match="anwser"):
        Event(name, "cloud", "vultr", NOW)
