"""Training: recipes, the loop, checkpoints, averaging."""
