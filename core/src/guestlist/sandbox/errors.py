"""Errors of the sandbox itself. Errors of imitated services are HTTP answers."""

from __future__ import annotations

from guestlist.errors import CallerMistake, GuestlistError


class SandboxError(GuestlistError):
    """The sandbox cannot start, cannot be reached, or refuses a request.

    `status` is the HTTP status of the mailbox's refusal; None if there was no answer.
    """


class SandboxMistake(SandboxError, CallerMistake):
    """The sandbox cannot start as requested: a profile, switch, address or port is invalid, or a
    package is not installed."""
