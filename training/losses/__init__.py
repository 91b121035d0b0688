"""Losses computed from logits."""
