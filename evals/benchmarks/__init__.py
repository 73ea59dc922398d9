"""Published benchmarks, one module each: ``python -m vouchrec.evals.benchmarks.NAME --data DIR --out DIR``.

Each reads public data, ranks the whole catalogue, and writes NAME.json and NAME.md: one row per method with bootstrap
intervals, the seed, a hash of the protocol and of the cases, and the time of fitting and of scoring a person.
"""

from __future__ import annotations
