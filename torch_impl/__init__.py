"""The Transformer in PyTorch: the twin of numpy_impl, where autograd derives the backward pass."""
