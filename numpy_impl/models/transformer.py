"""The Transformer of "Attention Is All You Need": an encoder that reads, a decoder that writes."""

import numpy as np

from numpy_impl import checks
from numpy_impl.layers.dropout import Dropout
from numpy_impl.layers.embedding import Embedding
from numpy_impl.layers.linear import Linear
from numpy_impl.layers.masks import causal_mask, combine_masks, padding_mask
from numpy_impl.layers.positional_encoding import SinusoidalPositionalEncoding
from numpy_impl.models.decoder import Decoder
from numpy_impl.models.encoder import Encoder
from numpy_impl.module import Module


class Transformer(Module):
    """Encoder and decoder between embeddings and an output projection.

    forward(source_ids, target_ids): integer ids (B, Ts) and (B, Tt), the target shifted right (it begins with the
    begin symbol). Returns logits (B, Tt, V): row t scores the target's symbol t + 1.
    backward(d_logits) adds to the gradients of all parameters; ids have no gradient, so it returns None.
    config: TransformerConfig. rng: np.random.Generator, seed or None. Errors: ids out of range, too long, or
    batches of different sizes (ValueError), other dtypes and types (TypeError).
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3 and figure 1.
    Departures: the output projection has no bias; dropout on attention weights and activated features.
    """

    def __init__(self, config, *, rng=None, dtype="float32"):
        super().__init__()
        rng = np.random.default_rng(rng)
        d_model, padding_idx = config.d_model, config.padding_idx
        sizes = (d_model, config.num_heads, config.d_ff, config.dropout, config.activation, config.norm_first)
        self.config = config
        self.source_embedding = Embedding(config.source_vocabulary_size, d_model, padding_idx, scale=True,
                                          rng=rng, dtype=dtype)
        self.source_position = SinusoidalPositionalEncoding(d_model, config.max_length, dtype=dtype)
        self.source_dropout = Dropout(config.dropout)
        self.encoder = Encoder(config.num_encoder_layers, *sizes, rng=rng, dtype=dtype)
        self.target_embedding = Embedding(config.target_vocabulary_size, d_model, padding_idx, scale=True,
                                          rng=rng, dtype=dtype)
        self.target_position = SinusoidalPositionalEncoding(d_model, config.max_length, dtype=dtype)
        self.target_dropout = Dropout(config.dropout)
        self.decoder = Decoder(config.num_decoder_layers, *sizes, rng=rng, dtype=dtype)
        self.output_projection = Linear(d_model, config.target_vocabulary_size, bias=False, rng=rng, dtype=dtype)
        if config.tie_weights:
            self.target_embedding.weight = self.source_embedding.weight
            self.output_projection.weight = self.source_embedding.weight

    def encode(self, source_ids):
        """Read the source (B, Ts). Returns the memory (B, Ts, D) and the mask (B, 1, 1, Ts) that hides its padding."""
        checks.ids("source_ids", source_ids, np.ndarray, size=self.config.source_vocabulary_size, rank=2)
        source_mask = padding_mask(source_ids, self.config.padding_idx)      # (B, 1, 1, Ts)
        embedded = self.source_embedding(source_ids)                         # (B, Ts, D)
        positioned = self.source_position(embedded)                          # (B, Ts, D)
        dropped = self.source_dropout(positioned)                            # (B, Ts, D)
        memory = self.encoder(dropped, source_mask)                          # (B, Ts, D)
        return memory, source_mask

    def encode_backward(self, d_memory):
        """Take back d_memory: (B, Ts, D), and add to the gradients of the encoder and the source embedding."""
        d_dropped = self.encoder.backward(d_memory)
        d_positioned = self.source_dropout.backward(d_dropped)
        d_embedded = self.source_position.backward(d_positioned)
        self.source_embedding.backward(d_embedded)

    def decode(self, target_ids, memory, source_mask):
        """Score each next symbol after target_ids (B, Tt), given `encode`'s results. Returns logits (B, Tt, V)."""
        checks.ids("target_ids", target_ids, np.ndarray, size=self.config.target_vocabulary_size, rank=2)
        target_mask = combine_masks(causal_mask(target_ids.shape[1]),
                                    padding_mask(target_ids, self.config.padding_idx))   # (B, 1, Tt, Tt)
        embedded = self.target_embedding(target_ids)                         # (B, Tt, D)
        positioned = self.target_position(embedded)                          # (B, Tt, D)
        dropped = self.target_dropout(positioned)                            # (B, Tt, D)
        decoded = self.decoder(dropped, memory, target_mask, source_mask)    # (B, Tt, D)
        logits = self.output_projection(decoded)                             # (B, Tt, V)
        return logits

    def decode_backward(self, d_logits):
        """Return d_memory: (B, Ts, D). d_logits: (B, Tt, V)."""
        d_decoded = self.output_projection.backward(d_logits)
        d_dropped, d_memory = self.decoder.backward(d_decoded)
        d_positioned = self.target_dropout.backward(d_dropped)
        d_embedded = self.target_position.backward(d_positioned)
        self.target_embedding.backward(d_embedded)
        return d_memory

    def forward(self, source_ids, target_ids):
        memory, source_mask = self.encode(source_ids)                        # (B, Ts, D)
        checks.same_batch("target_ids", target_ids, "source_ids", source_ids)
        logits = self.decode(target_ids, memory, source_mask)                # (B, Tt, V)
        return logits

    def backward(self, d_logits):
        d_memory = self.decode_backward(d_logits)
        self.encode_backward(d_memory)
