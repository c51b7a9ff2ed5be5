"""The guest list itself: who should be where, and the changes that bring it about."""

from guestlist.roster.change import Action, Change
from guestlist.roster.diff import Note
from guestlist.roster.guard import Limits
from guestlist.roster.moved import moved
from guestlist.roster.plan import Plan, make_plan
from guestlist.roster.planfile import PlanFile, read_plan
from guestlist.roster.summary import Over, Summary
from guestlist.roster.wanted import Wanted

__all__ = [
    "Action",
    "Change",
    "Limits",
    "Note",
    "Over",
    "Plan",
    "PlanFile",
    "Summary",
    "Wanted",
    "make_plan",
    "moved",
    "read_plan",
]
