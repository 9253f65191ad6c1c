"""Transcripts and recordings by a person: drafts that are put right, sentences that are read, and a page for each."""
