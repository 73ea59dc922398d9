"""Vouch: finetune."""
