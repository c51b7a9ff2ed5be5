"""The guest list itself: who should be where, and the changes that bring it about."""

from guestlist.roster.change import Action, Change
from guestlist.roster.wanted import Wanted

__all__ = ["Action", "Change", "Wanted"]
