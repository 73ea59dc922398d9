"""Any recommender or agent x cases -> numbers: `metrics` and `intervals` are functions, the others are commands.

As in `python -m vouchrec.evals.histories --help`. Nothing is imported here, so that a metric can be had alone.
"""
