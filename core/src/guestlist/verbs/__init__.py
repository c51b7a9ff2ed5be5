"""The methods of the clients, written once for sync and async callers and for all providers."""

from guestlist.verbs.accounts import Accounts
from guestlist.verbs.arguments import IfExists
from guestlist.verbs.direct import call, check, limits
from guestlist.verbs.find import Who, status
from guestlist.verbs.invite import invite
from guestlist.verbs.leave import remove, revoke
from guestlist.verbs.lists import AsyncItems, Items, Walk, invitations, members, roles
from guestlist.verbs.many import status_many
from guestlist.verbs.offboard import offboard
from guestlist.verbs.onboard import onboard
from guestlist.verbs.resend import resend
from guestlist.verbs.roles import RoleRef, access, assign_role, own_access, unassign_role
from guestlist.verbs.wait import wait

__all__ = [
    "Accounts",
    "AsyncItems",
    "IfExists",
    "Items",
    "RoleRef",
    "Walk",
    "Who",
    "access",
    "assign_role",
    "call",
    "check",
    "invitations",
    "invite",
    "limits",
    "members",
    "offboard",
    "onboard",
    "own_access",
    "remove",
    "resend",
    "revoke",
    "roles",
    "status",
    "status_many",
    "unassign_role",
    "wait",
]
