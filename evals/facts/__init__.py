"""Facts of a film catalogue against public film data: the parts of `python -m vouchrec.evals.catalogue_facts`."""
