"""Writes the capability table of README.md from the providers' classes.

    uv run tools/capabilities.py            # writes it
    uv run tools/capabilities.py --check    # only says whether it is up to date

The table stands between two markers there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from guestlist.plugins import installed
from guestlist.provider import NEVER, Provider

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- capabilities -->\n", "<!-- /capabilities -->"

OPERATIONS = {
    "resend": "resend",
    "revoke an invitation": "revoke",
    "list invitations": "invitations",
    "list members": "members",
    "remove a member": "remove",
    "list roles": "roles",
    "assign a role": "assign_role",
    "unassign a role": "unassign_role",
    "effective access": "access",
}
"""Operations that most services have. The table names those that a service lacks."""

COLUMNS = (
    "service",
    "offers no way to",
    "kinds of roles",
    "roles at invitation",
    "members have",
    "without an email",
    "lasts",
    "tested against",
)


def table(providers: list[type[Provider]]) -> str:
    """Returns the table in Markdown."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *map(_row, providers)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(provider: type[Provider]) -> list[str]:
    supported = set(provider.operations())
    if supported >= {"invite", "revoke"}:  # which make up a resend
        supported.add("resend")
    lacking = [words for words, name in OPERATIONS.items() if name not in supported]
    return [
        provider.title,
        ", ".join(lacking) or "—",
        ", ".join(provider.role_kinds),
        _roles(provider),
        "addresses" if provider.members_show_emails else "logins",
        "yes" if provider.can_suppress_email else "—",
        _lifetime(provider),
        ", ".join(provider.judges) or "—",
    ]


def _roles(provider: type[Provider]) -> str:
    if provider.most_roles == 0:
        return "after acceptance"
    count = "one" if provider.most_roles == 1 else "several"
    return f"{count}, required" if provider.least_roles else count


def _lifetime(provider: type[Provider]) -> str:
    if provider.lifetime == NEVER:
        return "for ever"
    if provider.lifetime is None:
        return "not known"
    hours = provider.lifetime.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 24 else f"{hours:g} hours"


def main(arguments: list[str]) -> int:
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    providers = [provider for _, provider in sorted(installed().providers.items())]
    made = f"{before}{START}{table(providers)}{END}{after}"
    if "--check" in arguments:
        if made != text:
            print("README.md: the capability table is not what the providers say", file=sys.stderr)
            return 1
        return 0
    README.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
