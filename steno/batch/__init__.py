"""Transcribing a great deal, on Ray Data: cut into parts, each written once, so that a stop costs little."""
