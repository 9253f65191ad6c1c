"""Shards: many recordings in few tar files, in WebDataset's form, and an index of them that stays on disk."""
