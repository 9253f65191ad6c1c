"""The front-end: from samples to normalised features, and masking of them."""
