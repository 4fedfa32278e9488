"""The residual connection around a sublayer: what the sublayer says is added to its input."""

from numpy_impl import checks
from numpy_impl.layers.dropout import Dropout
from numpy_impl.module import Module


class ResidualConnection(Module):
    """Adds a sublayer's output to its input and normalizes, before the sublayer (pre-norm) or after it (post-norm).

    post-norm: y = norm(x + dropout(sublayer(x))), as in the paper.
    pre-norm (norm_first): y = x + dropout(sublayer(norm(x))); the model then normalizes once more at its end.

    forward(x, *context): x (B, T, D); the sublayer is called with x and the context (a mask; for cross-attention memory
    and mask) and returns (B, T, D). backward(d_y) returns d_x, for cross-attention d_x, d_memory.
    sublayer, norm: the modules. dropout: of the sublayer's output; TypeError unless a number, ValueError unless
    0 <= dropout < 1.
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3.1 and 5.4; pre-norm: Xiong et al. (2020), "On
    Layer Normalization in the Transformer Architecture".
    """

    def __init__(self, sublayer, norm, dropout=0.0, norm_first=False):
        super().__init__()
        checks.probability("dropout", dropout)
        self.sublayer = sublayer
        self.dropout = Dropout(dropout)
        self.norm = norm
        self.norm_first = norm_first

    def forward(self, x, *context):
        if self.norm_first:
            normalized = self.norm(x)
            transformed = self.sublayer(normalized, *context)
            dropped = self.dropout(transformed)
            y = x + dropped
        else:
            transformed = self.sublayer(x, *context)
            dropped = self.dropout(transformed)
            added = x + dropped
            y = self.norm(added)
        return y

    def backward(self, d_y):
        if self.norm_first:
            # y = x + dropped: a sum hands its gradient to both
            d_x_from_skip, d_dropped = d_y, d_y
            d_transformed = self.dropout.backward(d_dropped)
            d_normalized, d_context = self._sublayer_backward(d_transformed)
            d_x_from_norm = self.norm.backward(d_normalized)
            d_x = d_x_from_skip + d_x_from_norm                  # eq: residual-d-x-pre-norm
        else:
            d_added = self.norm.backward(d_y)
            # added = x + dropped
            d_x_from_skip, d_dropped = d_added, d_added
            d_transformed = self.dropout.backward(d_dropped)
            d_x_from_sublayer, d_context = self._sublayer_backward(d_transformed)
            d_x = d_x_from_skip + d_x_from_sublayer              # eq: residual-d-x-post-norm
        return (d_x, *d_context) if d_context else d_x

    def _sublayer_backward(self, d_transformed):
        """The gradient of the sublayer's first argument, and a tuple of those of its context (memory, if any)."""
        gradients = self.sublayer.backward(d_transformed)
        return (gradients[0], gradients[1:]) if isinstance(gradients, tuple) else (gradients, ())
