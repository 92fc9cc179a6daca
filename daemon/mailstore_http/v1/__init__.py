"""The API of mailstore itself: JSON over the contract, the same for every store.

`values` says how parameters are written in JSON, `problems` how refusals are. `operations` is what an operation is;
`resources`, `beside` and `batches` have them all. `openapi` and `reference` describe them. `api` is the dialect: who asks
(`callers`), what is asked (`requests`), and the answer, with `replays` for requests that are sent twice and `locks` for
conditions.
"""
