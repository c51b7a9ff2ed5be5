"""GitHub keeps the rules that every provider keeps, on its sandbox."""

from __future__ import annotations

from typing import ClassVar

from guestlist.models import Member
from guestlist_github.sandbox import PERSON_URLS, GitHubService
from pytest_guestlist.conformance import ProviderSuite
from pytest_guestlist.conformance.walkthrough import Runner

URLS = ("repositories", "following", "gists", "starred", "events", "hooks", "issues", "members")
MORE_URLS = ("html", "avatar", "invitation_teams", "documentation", "organization")


class TestSandbox(ProviderSuite):
    service = GitHubService
    role = "team:Docs"
    options_are_shown = False
    public_fields: ClassVar[frozenset[str]] = frozenset(
        f"{name}_url" for name in (*PERSON_URLS, *URLS, *MORE_URLS, "public_members")
    )

    @classmethod
    def extra_operations(cls, runner: Runner, member: Member) -> None:
        assert runner.run("outside_collaborators").items
