"""How much is tried: little and always the same by default, more with HYPOTHESIS_PROFILE=long.

One example of a test that is parametrized by provider covers all of its operations or verbs.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

ALWAYS: dict[str, object] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("short", max_examples=25, derandomize=True, database=None, **ALWAYS)  # type: ignore[arg-type]
settings.register_profile("long", max_examples=2000, **ALWAYS)  # type: ignore[arg-type]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
