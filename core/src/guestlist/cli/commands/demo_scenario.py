"""The story of `demo`: what guestlist is for, in one sitting."""

from __future__ import annotations

from datetime import timedelta

from guestlist.cli.commands.demo_runner import DemoRunner

ACCOUNTS = ("vultr", "aitronos")
"""The accounts of the story, which are named like their providers."""

ADA = "ada@example.com"
ALAN = "alan@example.com"
BARBARA = "barbara@example.com"
GRACE = "grace@example.com"

EVERYBODY = (
    (ADA, "vultr"),
    (ADA, "aitronos"),
    (ALAN, "aitronos"),
    (BARBARA, "vultr"),
    (GRACE, "vultr"),
)


def play(stage: DemoRunner) -> None:
    """Tells it from the beginning to the end.

    Raises:
        NotAsTold: a step came out differently.
    """
    stage.open(
        "guestlist invites people into organizations, whichever service they live on.",
        "These services are imitations that run on this machine, each with an organization in it."
        " Everything below really happens to them, over HTTP.",
    )
    _invitations(stage)
    _acceptance(stage)
    _roles(stage)
    _patience(stage)
    _changes(stage)
    stage.chapter("And this is where everybody stands")
    stage.close(EVERYBODY)


def _invitations(stage: DemoRunner) -> None:
    stage.chapter(
        "Four people are invited",
        "Aitronos wants a role at once, by name; Vultr takes none before somebody has accepted.",
    )
    stage.call("invite", ADA, account="vultr", expect="invited")
    stage.call("invite", ADA, role="Member", account="aitronos", expect="invited")
    stage.call("invite", ALAN, role="Admin", account="aitronos", expect="invited")
    stage.call("invite", BARBARA, account="vultr", expect="invited")
    stage.call("invite", GRACE, account="vultr", expect="invited")

    stage.chapter("Nobody has answered yet")
    stage.call("status", ADA, account="vultr", expect="pending")
    stage.call("status", ADA, account="aitronos", expect="pending")

    stage.chapter(
        "Asking twice does no harm",
        "To invite means: make sure that there is an open invitation.",
    )
    stage.call("invite", ADA, account="vultr", expect="already_invited")


def _acceptance(stage: DemoRunner) -> None:
    stage.chapter("Ada and Barbara read their mails")
    stage.accept("Ada", ADA)
    stage.accept("Barbara", BARBARA)
    stage.call("wait", ADA, account="vultr", expect="accepted")
    stage.call("status", ADA, account="aitronos", expect="accepted")


def _roles(stage: DemoRunner) -> None:
    stage.chapter("What may Ada do?", "On Vultr, to be a member is not to be allowed anything.")
    stage.call("access", ADA, account="vultr", expect="nothing")
    stage.call("assign_role", ADA, "group:Engineering", account="vultr", expect="assigned")
    stage.call("assign_role", ADA, "Support Engineer", account="vultr", expect="assigned")
    stage.call("access", ADA, account="vultr", expect="access")
    stage.call("assign_role", ADA, "Admin", account="aitronos", expect="assigned")
    stage.call("access", ADA, account="aitronos", expect="access")


def _patience(stage: DemoRunner) -> None:
    stage.chapter("Grace does not answer", "Her invitation is sent again, lapses, and is renewed.")
    stage.call("resend", GRACE, account="vultr", expect="resent")
    stage.pass_time(timedelta(days=4))
    stage.call("status", GRACE, account="vultr", expect="expired")
    stage.call("resend", GRACE, account="vultr", expect="resent")
    stage.call("status", GRACE, account="vultr", expect="pending")


def _changes(stage: DemoRunner) -> None:
    stage.chapter("Plans change", "What a service cannot do is said before anything is sent.")
    stage.call("revoke", ALAN, account="aitronos", expect="gone")
    stage.call("revoke", GRACE, account="vultr", expect="Unsupported")
    stage.call("remove", BARBARA, account="vultr", expect="gone")

    stage.chapter("Who is in, and who is invited")
    stage.call("members", account="vultr", expect="4")
    stage.call("members", account="aitronos", expect="4")
    stage.call("invitations", state="pending", account="vultr", expect="1")
    stage.call("invitations", state="pending", account="aitronos", expect="0")
