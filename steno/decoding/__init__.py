"""From CTC log-probabilities to text."""
