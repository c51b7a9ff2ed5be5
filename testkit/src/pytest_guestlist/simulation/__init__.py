"""The policy, simulated: hundreds of thousands of fault schedules in minutes, each from its seed.

Pacing, retry, recovery, paging and the verbs are generators that do no I/O. Here they run on a
virtual clock against the provider's own sandbox service, which really holds invitations and counts
emails. Faults come at every possible point; afterwards the checker compares what callers were told
with what the service holds.

    python -m pytest_guestlist.simulation --seeds 20000 --jobs 2
    python -m pytest_guestlist.simulation --provider vultr --seed 1234 --show

`world` holds time and service, `subject` what is varied of both, `faults` what goes wrong, `driver`
carries steps out, `run` draws a run, `checker` judges it, `sabotage` breaks the policy on purpose,
and `model` searches the recovery's state machine exhaustively.
"""

from pytest_guestlist.simulation.checker import Violation
from pytest_guestlist.simulation.run import Run, simulate

__all__ = ["Run", "Violation", "simulate"]
