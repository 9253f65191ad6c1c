"""Transcripts by a person: recordings cut into pieces, a model's drafts, and a page on which they are put right."""
