"""Who started a run or a single call, where, and why. The ledger stores it, and `guestlist log`
shows it."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass

JOB_VARIABLES = ("CI_JOB_URL", "BUILD_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL")
"""Variables in which CI systems give the address of the job: GitLab, Jenkins, CircleCI and
Buildkite. GitHub Actions gives it in three parts."""
GITHUB_VARIABLES = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")


@dataclass(frozen=True, slots=True)
class Origin:
    """The person or program that started a call or run, with machine and reason. None stands for
    unknown.

    Attributes:
        actor: the person or program; by default the user of the operating system.
        host: the name of the machine.
        job: the address of the CI job.
        note: the reason, as the caller gives it.
    """

    actor: str | None = None
    host: str | None = None
    job: str | None = None
    note: str | None = None

    @classmethod
    def here(cls, actor: str | None = None, note: str | None = None) -> Origin:
        """Returns the origin for calls and runs of this process."""
        return cls(actor or _user(), socket.gethostname() or None, _job(os.environ), note or None)

    def columns(self) -> dict[str, str | None]:
        """Returns the values of the columns, without characters that PostgreSQL cannot store."""
        return {name: value and value.replace("\0", "") for name, value in asdict(self).items()}


NOBODY = Origin()


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else None


def _job(environ: Mapping[str, str]) -> str | None:
    server, repository, run = (environ.get(name) for name in GITHUB_VARIABLES)
    if server and repository and run:
        return f"{server}/{repository}/actions/runs/{run}"
    return next((environ[name] for name in JOB_VARIABLES if environ.get(name)), None)
