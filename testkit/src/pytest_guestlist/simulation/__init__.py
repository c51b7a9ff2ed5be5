"""Simulates the exchange policy: hundreds of thousands of fault schedules in minutes, each from a
seed.

Rate limiting, retries, recovery, paging and the verbs are generators that do no I/O. Here they run
on a virtual clock against the provider's sandbox, which stores invitations and counts emails.
Faults come at every possible point. Afterwards the checker compares the results of the calls with
the records of the service.

    python -m pytest_guestlist.simulation --seeds 20000 --jobs 2
    python -m pytest_guestlist.simulation --provider vultr --seed 1234 --show

`world` has time and service, `subject` the variations of provider and service, `faults` the faults.
`driver` carries out steps, `run` draws a run, `checker` checks it, `sabotage` breaks the policy on
purpose, and `model` searches the recovery's state machine exhaustively.
"""

from pytest_guestlist.simulation.checker import Violation
from pytest_guestlist.simulation.run import Simulation, simulate

__all__ = ["Simulation", "Violation", "simulate"]
