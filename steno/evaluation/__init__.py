"""Error rates with intervals."""
