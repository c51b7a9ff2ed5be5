"""The roster: which people belong to which accounts, and the plan that makes it so."""
