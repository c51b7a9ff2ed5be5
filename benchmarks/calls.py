"""One `invite`, `status` or `resend` at a time, sync and async."""

from __future__ import annotations

CALLS, ROUNDS = 40, 15
