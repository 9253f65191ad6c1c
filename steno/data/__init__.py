"""Data: manifests, corpora, checks, augmentation and batching."""
