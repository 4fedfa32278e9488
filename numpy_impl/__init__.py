"""The Transformer by hand in NumPy: every layer with its own backward pass."""
