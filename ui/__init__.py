"""Vouch: ui."""
