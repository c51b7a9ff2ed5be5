"""Runs providers' flows: limits rates, sends, retries, and recovers lost answers.

`step` defines the steps, `policy` runs a flow, `recovery` looks up the outcome of requests without
an answer, `recording` connects a call with the ledger, `rate_limiter` decides when a request may
leave, `redact` masks secrets, and `account` has the state of one account. None of these does I/O.
`drive` carries steps out, and `wire` sends requests with httpx.
"""
