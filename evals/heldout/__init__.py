"""Recommendations and scorers on held-out histories: the parts of `python -m vouchrec.evals.histories`."""
