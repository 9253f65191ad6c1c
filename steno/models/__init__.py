"""Acoustic models: one file an architecture, from features to CTC logits."""
