"""Realistic bugs, planted one at a time: the comparison of one case must notice each."""

import pytest

from numpy_impl.layers import linear, normalization
from parity_tests.harness.catalog import all_cases
from parity_tests.harness.planted import Bug, planted

LAYERS = "numpy_impl.layers."
LINEAR, NORMALIZATION, SOFTMAX = f"{LAYERS}linear:", f"{LAYERS}normalization:", f"{LAYERS}softmax:"
ATTENTION, LOSSES, EMBEDDING = f"{LAYERS}attention:", f"{LAYERS}losses:", f"{LAYERS}embedding:"
ACTIVATIONS, DROPOUT, POSITIONS = f"{LAYERS}activations:", f"{LAYERS}dropout:", f"{LAYERS}positional_encoding:"
FEED_FORWARD, RESIDUAL, MODELS = f"{LAYERS}feed_forward:", f"{LAYERS}residual:", "numpy_impl.models."

BUGS = [
    Bug("linear: weight not transposed back", LINEAR + "linear_backward",
        "d_product @ weight ", "d_product @ weight.T ", "linear: Linear, square"),
    Bug("linear: weight gradient transposed", LINEAR + "linear_backward",
        "d_product.T @ rows", "rows.T @ d_product", "linear: Linear, square"),
    Bug("linear: bias gradient averaged over the rows", LINEAR + "linear_backward",
        "d_y_rows.sum(axis=0)", "d_y_rows.mean(axis=0)", "linear: linear"),
    Bug("linear: bias gradient forgotten", LINEAR + "Linear.backward",
        "self.bias.grad += d_bias", "pass", "linear: Linear"),
    Bug("linear: gradient overwritten", LINEAR + "Linear.backward",
        "self.weight.grad += d_weight", "self.weight.grad[...] = d_weight", "linear: Linear", "contract"),
    Bug("linear: cache kept after the backward pass", LINEAR + "Linear.backward",
        "self.saved(d_y)", "self._saved[0]", "linear: Linear", "contract"),
    Bug("linear: bias added in place", LINEAR + "linear",
        "rows = x.reshape(-1, x.shape[-1])", "rows = x.reshape(-1, x.shape[-1]); rows *= 1.5", "linear: linear"),
    Bug("linear: a float64 scalar", LINEAR + "linear",
        "product + bias", "product + bias * np.float64(1)", "linear: Linear", "plain float32"),

    Bug("layer_norm: gamma outside of the means", NORMALIZATION + "layer_norm_lean_backward",
        "d_x_hat = d_y * gamma\n    along_ones", "d_x_hat = d_y\n    along_ones", "normalization: layer_norm", "lean"),
    Bug("layer_norm: the mean is taken for a constant", NORMALIZATION + "layer_norm_backward",
        "d_centered + d_mean / d_y.shape[-1]", "d_centered", "normalization: layer_norm"),
    Bug("layer_norm: the variance is taken for a constant", NORMALIZATION + "layer_norm_backward",
        "d_centered_from_x_hat + d_centered_from_squared", "d_centered_from_x_hat", "normalization: LayerNorm"),
    Bug("layer_norm: the factor 2 of the square is lost", NORMALIZATION + "layer_norm_backward",
        "d_squared * (2 * centered)", "d_squared * centered", "normalization: LayerNorm"),
    Bug("layer_norm: sign of the division's gradient", NORMALIZATION + "layer_norm_backward",
        "d_std = -(", "d_std = (", "normalization: LayerNorm"),
    Bug("layer_norm: gamma's gradient from x, not from x_hat", NORMALIZATION + "layer_norm_backward",
        "(d_scaled * x_hat).sum(axis=leading)", "(d_scaled * centered).sum(axis=leading)", "normalization: LayerNorm"),
    Bug("layer_norm: eps outside of the root", NORMALIZATION + "layer_norm",
        "np.sqrt(variance + eps)", "np.sqrt(variance) + eps", "normalization: LayerNorm"),
    Bug("layer_norm: unbiased variance", NORMALIZATION + "layer_norm",
        "squared.mean(axis=-1, keepdims=True)", "squared.sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)",
        "normalization: LayerNorm"),
    Bug("layer_norm: the projection on x_hat is lost", NORMALIZATION + "layer_norm_lean_backward",
        " - x_hat * along_x_hat", "", "normalization: LayerNorm", "lean"),
    Bug("rms_norm: the root mean square is taken for a constant", NORMALIZATION + "rms_norm_backward",
        "d_x_from_x_hat + d_x_from_squared", "d_x_from_x_hat", "normalization: RMSNorm"),
    Bug("batch_norm: the mean is taken for a constant", NORMALIZATION + "batch_norm_training_backward",
        "d_centered + d_mean / count", "d_centered", "normalization: BatchNorm1d"),
    Bug("batch_norm: running variance is biased", NORMALIZATION + "BatchNorm1d.forward",
        "variance * (count / (count - 1))", "variance * 1.0", "normalization: BatchNorm1d"),
    Bug("batch_norm: momentum the other way round", NORMALIZATION + "BatchNorm1d.forward",
        "self.running_mean += self.momentum * (", "self.running_mean += (1 - self.momentum) * (",
        "normalization: BatchNorm1d"),
    Bug("batch_norm: the batch's statistics in evaluation", NORMALIZATION + "BatchNorm1d.forward",
        "if not self.training:", "if False:", "normalization: BatchNorm1d in evaluation"),

    Bug("softmax: only the diagonal of the Jacobian", SOFTMAX + "softmax_lean_backward",
        "y * (d_y - mean_d_y)", "y * d_y * (1 - y)", "softmax: softmax", "lean"),
    Bug("softmax: normalized along the wrong axis", SOFTMAX + "softmax_lean_backward",
        "sum(axis=axis,", "sum(axis=-1,", "softmax: softmax along the middle", "lean"),
    Bug("softmax: the divisor is taken for a constant", SOFTMAX + "softmax_backward",
        "d_exponentials_from_y + d_total", "d_exponentials_from_y", "softmax: softmax"),
    Bug("log_softmax: gradient as if of softmax", SOFTMAX + "log_softmax_lean_backward",
        "np.exp(y) * d_y.sum(axis=axis, keepdims=True)", "np.exp(y)", "softmax: log_softmax", "lean"),

    Bug("attention: scores not scaled in the backward pass", ATTENTION + "scaled_dot_product_attention_backward",
        "d_scores * scale", "d_scores", "attention: scaled_dot_product_attention, padding"),
    Bug("attention: query and key exchanged", ATTENTION + "scaled_dot_product_attention_lean_backward",
        "d_products.swapaxes(-1, -2) @ query", "d_products.swapaxes(-1, -2) @ d_query",
        "attention: SelfAttention, causal", "lean"),
    Bug("attention: scaled by d_model", ATTENTION + "scaled_dot_product_attention",
        "math.sqrt(query.shape[-1])", "math.sqrt(query.shape[1] * query.shape[-1])",
        "attention: MultiHeadAttention, causal"),
    Bug("attention: value gradient without dropout", ATTENTION + "scaled_dot_product_attention_backward",
        "d_value = dropped_weights.", "d_value = softmax_cache[-2].", "attention: MultiHeadAttention, dropout"),
    Bug("attention: the mask is upside down", ATTENTION + "scaled_dot_product_attention_lean",
        "where=~mask", "where=mask", "attention: MultiHeadAttention, padding", "lean"),
    Bug("attention: heads cut with tokens mixed", ATTENTION + "split_heads",
        "heads = by_token.transpose(0, 2, 1, 3)",
        "heads = x.reshape(batch, num_heads, length, width // num_heads)", "attention: split_heads"),
    Bug("attention: head gradients not transposed back", ATTENTION + "merge_heads_backward",
        "d_heads = d_by_token.transpose(0, 2, 1, 3)",
        "d_heads = d_x.reshape(batch, num_heads, length, d_head)", "attention: merge_heads"),
    Bug("attention: a shared head keeps one gradient of its group", ATTENTION + "repeat_heads_backward",
        "by_group.sum(axis=2)", "by_group[:, :, 0]", "attention: MultiHeadAttention, two groups of heads"),
    Bug("attention: heads tiled, not repeated", ATTENTION + "repeat_heads",
        "np.repeat(heads, group_size, axis=1)", "np.tile(heads, (1, group_size, 1, 1))",
        "attention: SelfAttention, two groups of heads"),
    Bug("self-attention: the way through the key is forgotten", ATTENTION + "SelfAttention.backward",
        "d_x_from_query + d_x_from_key + d_x_from_value", "d_x_from_query + d_x_from_value",
        "attention: SelfAttention, causal"),
    Bug("cross-attention: the way through the value is forgotten", ATTENTION + "CrossAttention.backward",
        "d_memory_from_key + d_memory_from_value", "d_memory_from_key", "attention: CrossAttention, fully masked rows"),

    Bug("attention: the scale twice in the query's gradient", ATTENTION + "scaled_dot_product_attention_lean_backward",
        "d_query = d_products @ key", "d_query = d_products @ key * scale", "attention: SelfAttention, causal", "lean"),
    Bug("attention: a shared head takes the mean of its group", ATTENTION + "repeat_heads_backward",
        "by_group.sum(axis=2)", "by_group.mean(axis=2)", "attention: MultiHeadAttention, one group of heads"),
    Bug("attention: each key distributes its weight, not each query", ATTENTION + "scaled_dot_product_attention",
        "softmax(masked_scores)", "softmax(masked_scores, -2)",
        "attention: scaled_dot_product_attention, without mask"),
    Bug("attention: dropout before the softmax", ATTENTION + "scaled_dot_product_attention",
        "softmax(masked_scores)", "softmax(dropout(masked_scores, keep, p)[0])",
        "attention: scaled_dot_product_attention, without mask, dropout"),
    Bug("causal mask: a token does not see itself", f"{LAYERS}masks:causal_mask",
        "key <= query", "key < query", "transformer: tied, post-norm"),

    Bug("relu: slope where x is negative", ACTIVATIONS + "relu_backward",
        "(x > 0)", "(x < 0)", "activations: relu"),
    Bug("gelu: density without its scale", ACTIVATIONS + "gelu_erf_backward",
        "(2 / math.sqrt(math.pi))", "(1 / math.sqrt(math.pi))", "activations: gelu_erf"),
    Bug("gelu: the cube's factor 3 is lost", ACTIVATIONS + "gelu_tanh_backward",
        "(x * x * 3)", "(x * x)", "activations: gelu_tanh"),
    Bug("silu: the gate is taken for a constant", ACTIVATIONS + "silu_backward",
        "d_x_from_y + d_x_from_gate", "d_x_from_y", "activations: silu"),
    Bug("tanh: slope from x, not from y", ACTIVATIONS + "tanh_backward",
        "(1 - y * y)", "(1 - y)", "activations: tanh"),
    Bug("dropout: gradient not scaled", DROPOUT + "dropout_backward",
        "d_y * factor", "d_y * (factor > 0)", "dropout: Dropout"),
    Bug("dropout: active in evaluation", DROPOUT + "Dropout.draw_keep",
        "not self.training or self.p == 0", "self.p == 0", "dropout: Dropout in evaluation"),
    Bug("cross-entropy: divided by all tokens", LOSSES + "cross_entropy_lean_backward",
        "float(d_loss) / count", "float(d_loss) / counted.size", "losses: CrossEntropyLoss with padding", "lean"),
    Bug("cross-entropy: ignored tokens have a gradient", LOSSES + "cross_entropy_lean_backward",
        "rows *= counted.reshape(-1, 1)", "pass", "losses: CrossEntropyLoss with padding", "lean"),
    Bug("cross-entropy: upstream gradient forgotten", LOSSES + "cross_entropy_backward",
        "d_loss / count", "1 / count", "losses: cross_entropy"),
    Bug("embedding: a repeated id keeps its last gradient", EMBEDDING + "embedding_backward",
        "d_weight = one_hot_transposed @ d_rows.reshape(-1, d_model)",
        "d_weight = np.zeros(weight_shape, d_rows.dtype); d_weight[ids] = d_rows",
        "embedding: Embedding, padding_idx=None, scale=False, int64"),
    Bug("embedding: padding has a gradient", EMBEDDING + "embedding_backward",
        "if padding_idx is None else", "if True else", "embedding: Embedding, padding_idx=2, scale=True, int64"),
    Bug("rotation: gradient turned forwards", POSITIONS + "rotate_pairs_backward",
        "d_turned_first * cos + d_turned_second * sin", "d_turned_first * cos - d_turned_second * sin",
        "positional_encoding: rotate_pairs, half"),
    Bug("log_softmax: the total is taken for a constant", SOFTMAX + "log_softmax_backward",
        "d_shifted_from_y + d_shifted_from_exponentials", "d_shifted_from_y", "softmax: LogSoftmax"),
    Bug("softmax: maximum not taken off along the axis", SOFTMAX + "softmax",
        "x.max(axis=axis, keepdims=True)", "x.max()", "softmax: softmax"),
    Bug("sigmoid: slope from x, not from y", ACTIVATIONS + "sigmoid_backward",
        "(y * (1 - y))", "(1 - y)", "activations: sigmoid"),
    Bug("gelu: one of the three paths is lost", ACTIVATIONS + "gelu_tanh_backward",
        "d_x_from_y + d_x_from_inner + d_x_from_cubed", "d_x_from_y + d_x_from_inner", "activations: gelu_tanh"),
    Bug("dropout: kept values not scaled", DROPOUT + "dropout",
        " * (1 / (1 - p))", "", "dropout: dropout"),
    Bug("dropout: scaled by the rate of the dropped", DROPOUT + "dropout",
        "(1 / (1 - p))", "(1 / p)", "dropout: dropout"),
    Bug("cross-entropy: smoothing leaves the target out", LOSSES + "cross_entropy_lean_backward",
        "label_smoothing / num_classes", "label_smoothing / (num_classes - 1)",
        "losses: CrossEntropyLoss of rows", "lean"),
    Bug("cross-entropy: smoothing keeps the whole target", LOSSES + "cross_entropy_backward",
        "d_smoothed * (1 - label_smoothing)", "d_smoothed * 1", "losses: CrossEntropyLoss of rows"),
    Bug("embedding: gradient not scaled", EMBEDDING + "embedding_backward",
        "d_y * scale", "d_y", "embedding: Embedding, padding_idx=2, scale=True, int64"),
    Bug("rotation: the layouts are mixed up", POSITIONS + "_join_pairs",
        'layout == "half"', 'layout != "half"', "positional_encoding: rotate_pairs, half"),
    Bug("learned positions: gradient of the first sequence alone", POSITIONS + "add_positions_backward",
        "d_y.sum(axis=0)", "d_y[0]", "positional_encoding: add_positions"),
    Bug("gated feed-forward: x went one way only", FEED_FORWARD + "GatedFeedForward.backward",
        "d_x_from_up + d_x_from_gate", "d_x_from_up", "feed_forward: GatedFeedForward, SwiGLU"),
    Bug("residual: the skip's gradient is forgotten", RESIDUAL + "ResidualConnection.backward",
        "d_x_from_skip + d_x_from_norm", "d_x_from_norm", "residual: pre-norm, feed-forward"),
    Bug("residual: the skip's gradient does not pass the norm", RESIDUAL + "ResidualConnection.backward",
        "d_x_from_skip, d_dropped = d_added, d_added", "d_x_from_skip, d_dropped = d_y, d_added",
        "residual: post-norm, feed-forward"),
    Bug("decoder: memory's gradient of the last layer alone", MODELS + "decoder:Decoder.backward",
        "sum(d_memory_from_layers)", "d_memory_from_layers[-1]", "decoder: Decoder, post-norm"),
    Bug("decoder: layers in the order of the forward pass", MODELS + "decoder:Decoder.backward",
        "reversed(self.layers)", "self.layers", "decoder: Decoder, post-norm"),
    Bug("transformer: the encoder hears nothing of the loss", MODELS + "transformer:Transformer.backward",
        "self.encode_backward(d_memory)", "self.encode_backward(0 * d_memory)", "transformer: with loss"),
    Bug("transformer: padding is read", MODELS + "transformer:Transformer.encode",
        "self.encoder(dropped, source_mask)", "self.encoder(dropped)", "transformer: tied, post-norm"),
]


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_the_bug_is_noticed(bug):
    case = all_cases()[bug.case]
    with bug.planted(), pytest.raises(AssertionError):
        case.check(bug.form)


def test_a_planted_bug_is_gone_afterwards():
    case = all_cases()["linear: Linear"]
    with pytest.raises(ZeroDivisionError), planted(linear.linear_backward, "d_product.T @ rows", "1 / 0"):
        case.check("plain")
    case.check("plain")


def test_a_bug_must_fit_one_place():
    with pytest.raises(ValueError, match="'std' occurs 9 times in layer_norm_backward"):
        with planted(normalization.layer_norm_backward, "std", "variance"):
            pass
    with pytest.raises(ValueError, match="'nowhere' occurs 0 times in Linear.forward"):
        with planted(linear.Linear.forward, "nowhere", "anywhere"):
            pass
