"""GitLab keeps the rules that every provider keeps: on its sandbox, as the owner of a group, and as
an administrator, who sees the addresses of members."""

from __future__ import annotations

from typing import ClassVar

from guestlist_gitlab.sandbox import GitLabService
from pytest_guestlist.conformance import ProviderSuite


class TestSandbox(ProviderSuite):
    service = GitLabService
    role = "Developer"


class TestAdministrator(ProviderSuite):
    service = GitLabService
    role = "Developer"
    facts: ClassVar[dict[str, str]] = {"member_addresses": "shown"}


class TestProject(ProviderSuite):
    service = GitLabService
    role = "Developer"
    facts: ClassVar[dict[str, str]] = {
        "profile": "project",
        "member_addresses": "shown",
        "again": "refuse",
        "known_people": "invite",
    }
