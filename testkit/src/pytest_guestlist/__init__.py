"""For the tests of applications that use guestlist: a sandbox, virtual time, cassettes.

The fixtures come by themselves, from `guestlist.testing.plugin`, wherever guestlist is installed
together with pytest. What they need beyond that comes with `guestlist[testing]`.
"""
