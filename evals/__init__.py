"""Vouch: evals."""
