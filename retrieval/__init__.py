"""Vouch: retrieval."""
