"""Vouch: agent."""
