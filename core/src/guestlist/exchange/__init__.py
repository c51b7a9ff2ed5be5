"""The exchange: runs providers' flows. Sans-I/O, but for `wire`.

`step` is the vocabulary, `policy` runs a flow, `recovery` settles what got no answer, `pace` keeps
to the service's limits, `redact` masks, `account` holds what belongs to one account, `drive`
carries steps out, and `wire` sends over httpx.
"""
