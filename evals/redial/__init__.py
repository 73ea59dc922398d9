"""The conversational benchmark on ReDial: what a recommender should name next in a human conversation about films.

`data` reads, `recover` finds film ids in plain text, `protocol` makes cases, `signals` and what it uses score, `blend` learns the
weights, `evaluate` measures. ``python -m vouchrec.evals.redial --data DATA --out OUT`` runs all of it.

Source: Li et al., "Towards Deep Conversational Recommendations", NeurIPS 2018.
"""
