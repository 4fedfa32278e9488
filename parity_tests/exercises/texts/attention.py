"""Exercises on layers/attention.py."""

from functools import partial

from parity_tests.exercises.model import Exercise

Attention = partial(Exercise, module="numpy_impl.layers.attention")

EXERCISES = [
    Attention(
        name="split_heads",
        title="numbers that only move",
        difficulty=1,
        after=("relu",),
        task=(
            "`split_heads` cuts the features of each token into heads and brings the heads to the front. It computes "
            "nothing. Return d_x, in which each gradient is back where its value came from."),
        shapes={"d_heads": "(B, H, T, Dh)", "x_shape": "the shape of x, (B, T, H * Dh) as numbers",
                "d_x": "(B, T, H * Dh)"},
        hints=(
            "No number changes, each only gets a new place. So each gradient goes the same way back. What are the "
            "two steps of the way there, and what undoes each?",
            "There: reshape (B, T, H * Dh) to (B, T, H, Dh), then exchange two axes. Back: first exchange the axes, "
            "then reshape. The cache is the shape in which you must end.",
            "Exchange axes 1 and 2 of d_heads, which gives (B, T, H, Dh): the same exchange as in the forward pass, "
            "as it is its own inverse. Then a reshape to x_shape joins the last two axes. A reshape alone gives the "
            "right shape and the wrong numbers: it mixes tokens."),
        why=(
            "Moving numbers is linear, and its transposed map moves them back. So the backward pass of a "
            "rearrangement is the inverse rearrangement, its steps in the opposite order. It's the forward pass of "
            "merge_heads.")),
    Attention(
        name="merge_heads",
        title="and back",
        difficulty=1,
        after=("split_heads",),
        task=(
            "`merge_heads` puts the heads of each token side by side again. Return d_heads. The cache holds the four "
            "sizes of heads."),
        shapes={"d_x": "(B, T, H * Dh)", "batch": "B", "num_heads": "H", "length": "T", "d_head": "Dh",
                "d_heads": "(B, H, T, Dh)"},
        hints=(
            "What does `merge_heads` undo? Then which forward pass does its backward pass look like?",
            "Last line first: the reshape joined heads and features of each token, so cut that axis in two again. "
            "Then exchange the two axes that the forward pass exchanged.",
            "Reshape d_x to (B, T, H, Dh), then exchange axes 1 and 2, which gives (B, H, T, Dh). Mind the order of "
            "the sizes: before the exchange the length comes before the heads, in the cache after them. Both orders "
            "give an array of the right size; only one gives each token its own numbers."),
        why=(
            "Each step is undone by its inverse, in the opposite order: the same two steps as split_heads. Going "
            "through both functions, forward or backward, changes nothing, which is a good test of either.")),
    Attention(
        name="repeat_heads",
        title="one value, several readers",
        difficulty=2,
        after=("add_positions", "split_heads"),
        task=(
            "In grouped attention each key/value head serves `group_size` neighbouring query heads; `repeat_heads` "
            "makes the copies. Return d_heads, with as many heads as there were before the copies."),
        shapes={"d_repeated": "(B, H, T, Dh)", "group_size": "an int that divides H",
                "d_heads": "(B, H / group_size, T, Dh)"},
        hints=(
            "A head that was copied three times is read three times. What becomes of the three gradients that come "
            "back? Which heads of d_repeated are copies of the same one?",
            "np.repeat lays the copies of a head side by side: for groups of three, heads 0 0 0 1 1 1. So cut the "
            "head axis in two, groups first and copies second, and add up along the copies. With groups of one "
            "nothing changes.",
            "d_heads[b, h, t, i] = Σ_c d_repeated[b, h · group_size + c, t, i], with c from 0 to group_size - 1. So "
            "reshape to (B, groups, group_size, T, Dh) and sum along axis 2: a sum, not a mean. With the two axes in "
            "the other order you would add heads of different groups."),
        why=(
            "A copy is a fork: every reader sends a gradient back, and they are added. Averaging them instead makes "
            "the gradients of keys and values too small by the size of the group.")),
    Attention(
        name="scaled_dot_product_attention",
        title="attention, line by line",
        difficulty=4,
        after=("linear", "dropout", "softmax"),
        task=(
            "The heart of the Transformer: each query takes a weighted mean of the values. Return the gradients of "
            "query, key and value. You may call `softmax_backward` and `dropout_backward` with the caches that their "
            "forward passes left. Tq is the number of queries, Tk that of keys. The mask may be None."),
        shapes={"d_output": "(B, H, Tq, Dv)", "query": "(B, H, Tq, Dh)", "key": "(B, H, Tk, Dh)",
                "value": "(B, H, Tk, Dv)", "mask": "booleans that broadcast to (B, H, Tq, Tk), or None",
                "scale": "a float", "dropped_weights": "(B, H, Tq, Tk)", "softmax_cache": "for softmax_backward",
                "dropout_cache": "for dropout_backward", "d_query": "(B, H, Tq, Dh)", "d_key": "(B, H, Tk, Dh)",
                "d_value": "(B, H, Tk, Dv)"},
        hints=(
            "Six steps, most of which you have done: two products of matrices, a constant factor, a mask, a softmax, "
            "a dropout. For a product C = A B of matrices, what are the gradients of A and of B? The shapes allow "
            "one answer only if Tq, Tk, Dh and Dv all differ, so pretend they do.",
            "From the last line to the first: output = dropped_weights @ value: d_dropped_weights and d_value, both "
            "with what was really multiplied, the weights *after* dropout. Then the backward passes of dropout and "
            "of softmax. masked_scores: where the mask is False a constant stood there, so nothing goes back. scores "
            "= products * scale: the same factor once more, here and nowhere else. products = query @ keyᵀ: d_query "
            "and d_key.",
            "With ᵀ for an exchange of the last two axes (`.T` would turn round all four): if C = A B, then the "
            "gradient of A is dC Bᵀ and that of B is Aᵀ dC. So d_dropped_weights, (Tq, Tk), is d_output by valueᵀ; "
            "d_value, (Tk, Dv), is dropped_weightsᵀ by d_output. As products[q, k] = Σ_i query[q, i] · key[k, i], "
            "d_query[q, i] = Σ_k d_products[q, k] · key[k, i], and d_key[k, i] = Σ_q d_products[q, k] · query[q, i]. "
            "Between them: d_scores is 0 where the mask is False, and d_products is scale times d_scores."),
        why=(
            "Each line has a rule that is known by now; attention adds nothing but their order. Two things go wrong "
            "easily: d_value needs the weights that met the values, after dropout, and the scale counts exactly once "
            "on the way back. A masked score has weight 0, so softmax returns 0 there anyway; the collapsed form "
            "relies on it, the plain one says it.")),
    Attention(
        name="SelfAttention",
        title="one input in three roles",
        difficulty=2,
        after=("silu",),
        task=(
            "In self-attention queries, keys and values are all projections of the same x. The parent class is "
            "complete, and its `backward` returns three gradients, of query, key and value. Write the `backward` of "
            "the class that calls it."),
        shapes={"d_output": "(B, T, D)", "d_x": "(B, T, D)"},
        hints=(
            "The forward pass hands x to its parent three times. What is x, then, seen from behind?",
            "Let the parent do its backward pass; it returns the gradient of each of its three arguments. All three "
            "are the same x here, so the three are parts of a single gradient.",
            "d_x[b, t, i] is the sum of what the parent's backward returns as d_query, d_key and d_value, at the "
            "same place. Add all three, to a new array, not into one of the three, and return only the sum."),
        why=(
            "x is a fork with three branches. The projections have different weights, so the three parts differ, and "
            "each is needed: a query's gradient says what to ask, a key's how to be found, a value's what to say.")),
    Attention(
        name="MultiHeadAttention",
        title="a whole module, in the opposite order",
        difficulty=4,
        after=("LayerNorm", "FeedForward", "scaled_dot_product_attention", "repeat_heads", "merge_heads"),
        task=(
            "Write the backward pass of multi-head attention out of backward passes that exist: of the four "
            "projections, which are modules, and of the functions in between, whose caches the forward pass has "
            "kept. Return the gradients of query, key and value."),
        shapes={"d_output": "(B, Tq, D)", "query_cache": "for split_heads_backward",
                "key_cache": "the same for the keys", "value_cache": "the same for the values",
                "group_cache": "for repeat_heads_backward",
                "attention_backward": "the function that goes with the attention that was used",
                "attention_cache": "its cache", "merge_cache": "for merge_heads_backward", "d_query": "(B, Tq, D)",
                "d_key": "(B, Tk, D)", "d_value": "(B, Tk, D)"},
        hints=(
            "Read the forward pass from its end. For each line ask two things: whose backward is it, a module's or a "
            "function's? And which names does it read, so which gradients does it give?",
            "The order: output projection; merged heads; attention, where one gradient becomes three. Then three "
            "branches that never meet again: for keys and values first the repetition of heads; for all three the "
            "splitting of heads and the projection, each with its own cache. Every module's backward is called "
            "exactly once.",
            "self.output_projection gives d_concatenated, (B, Tq, D); merge_heads_backward makes it (B, H, Tq, Dh); "
            "attention_backward, which the forward pass chose, gives d_query_heads, (B, H, Tq, Dh), and for the "
            "repeated keys and values (B, H, Tk, Dh). repeat_heads_backward takes those two to (B, Hkv, Tk, Dh); it "
            "is not for the queries. split_heads_backward takes all three to (B, T, ...), and the projection of the "
            "same name ends each branch. No gradient is added here: nothing was read twice."),
        why=(
            "A module that only composes has a backward pass without mathematics: the calls in the opposite order, "
            "each with what its forward kept. Branches that separate in the backward pass came together in the "
            "forward pass. The gradients of weights are added by the projections themselves.")),
]
