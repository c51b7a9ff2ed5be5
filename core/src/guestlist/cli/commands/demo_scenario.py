"""The scenario of `demo`: the main features of guestlist in a few minutes."""

from __future__ import annotations

from datetime import timedelta

from guestlist.cli.commands.demo_runner import DemoRunner

ACCOUNTS = ("vultr", "aitronos")
"""The accounts of the scenario, with the names of their providers."""

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


def play(runner: DemoRunner) -> None:
    """Plays the scenario from beginning to end.

    Raises:
        UnexpectedResult: a step had an unexpected result.
    """
    runner.open(
        "guestlist invites people into organizations on many services.",
        "These services are imitations that run on this machine, each with an organization in it."
        " All calls below are real HTTP requests to them.",
    )
    _invitations(runner)
    _acceptance(runner)
    _roles(runner)
    _expiry(runner)
    _changes(runner)
    runner.chapter("The state of all people at the end")
    runner.close(EVERYBODY)


def _invitations(runner: DemoRunner) -> None:
    runner.chapter(
        "Four people are invited",
        "Aitronos requires a role with the invitation. Vultr accepts roles only after acceptance.",
    )
    runner.call("invite", ADA, account="vultr", expect="invited")
    runner.call("invite", ADA, role="Member", account="aitronos", expect="invited")
    runner.call("invite", ALAN, role="Admin", account="aitronos", expect="invited")
    runner.call("invite", BARBARA, account="vultr", expect="invited")
    runner.call("invite", GRACE, account="vultr", expect="invited")

    runner.chapter("Nobody has answered yet")
    runner.call("status", ADA, account="vultr", expect="pending")
    runner.call("status", ADA, account="aitronos", expect="pending")

    runner.chapter(
        "Inviting twice does no harm",
        "`invite` makes sure that there is an open invitation.",
    )
    runner.call("invite", ADA, account="vultr", expect="already_invited")


def _acceptance(runner: DemoRunner) -> None:
    runner.chapter("Ada and Barbara read their emails")
    runner.accept("Ada", ADA)
    runner.accept("Barbara", BARBARA)
    runner.call("wait", ADA, account="vultr", expect="accepted")
    runner.call("status", ADA, account="aitronos", expect="accepted")


def _roles(runner: DemoRunner) -> None:
    runner.chapter("What may Ada do?", "On Vultr, a new member has no permissions.")
    runner.call("access", ADA, account="vultr", expect="nothing")
    runner.call("assign_role", ADA, "group:Engineering", account="vultr", expect="assigned")
    runner.call("assign_role", ADA, "Support Engineer", account="vultr", expect="assigned")
    runner.call("access", ADA, account="vultr", expect="access")
    runner.call("assign_role", ADA, "Admin", account="aitronos", expect="assigned")
    runner.call("access", ADA, account="aitronos", expect="access")


def _expiry(runner: DemoRunner) -> None:
    runner.chapter(
        "Grace does not answer", "Her invitation is sent again, expires, and is renewed."
    )
    runner.call("resend", GRACE, account="vultr", expect="resent")
    runner.pass_time(timedelta(days=4))
    runner.call("status", GRACE, account="vultr", expect="expired")
    runner.call("resend", GRACE, account="vultr", expect="resent")
    runner.call("status", GRACE, account="vultr", expect="pending")


def _changes(runner: DemoRunner) -> None:
    runner.chapter("Plans change", "An unsupported operation is refused before anything is sent.")
    runner.call("revoke", ALAN, account="aitronos", expect="revoked")
    runner.call("revoke", GRACE, account="vultr", expect="Unsupported")
    runner.call("remove", BARBARA, account="vultr", expect="removed")

    runner.chapter("Members and open invitations")
    runner.call("members", account="vultr", expect="4")
    runner.call("members", account="aitronos", expect="4")
    runner.call("invitations", state="pending", account="vultr", expect="1")
    runner.call("invitations", state="pending", account="aitronos", expect="0")
