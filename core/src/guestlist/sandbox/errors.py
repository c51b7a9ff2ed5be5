"""What goes wrong with the sandbox itself, as opposed to with a service that it imitates."""

from __future__ import annotations

from guestlist.errors import CallerMistake, GuestlistError


class SandboxError(GuestlistError):
    """The sandbox cannot start, cannot be reached, or will not do what it was asked.

    `status` is the HTTP status that the mailbox refused with, None when it did not get that far.
    """


class SandboxMistake(SandboxError, CallerMistake):
    """A sandbox was asked for that cannot be: a profile, switch, address or port that there is none
    of, or something that is not installed."""
