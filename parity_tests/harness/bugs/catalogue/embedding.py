"""Bugs of layers/embedding.py."""

from parity_tests.harness.bugs.bug import Bug

EMBEDDING = "numpy_impl.layers.embedding:"

BUGS = [
    Bug(name="embedding-repeated-ids-dropped",
        title="An id that occurs several times keeps the gradient of its last place.",
        function=EMBEDDING + "embedding_backward",
        old="d_weight = one_hot_transposed @ d_rows.reshape(-1, d_model)",
        new="d_weight = np.zeros(weight_shape, d_rows.dtype)\n"
            "    d_weight[flat_ids[places]] += d_rows.reshape(-1, d_model)[places]",
        looks="Rows of ids that occur once are right, those of frequent ids too small. A test whose ids all differ "
              "passes.",
        why="NumPy's `a[ids] += b` reads all rows, adds, and writes them back: of equal ids the last one wins. "
            "`np.add.at` is what adds.",
        training="The more frequent a symbol, the more of its gradient is lost. Measured: 78 % of the words right "
                 "instead of 98 %, and twice the loss. In a real text the commonest words lose nearly all of it.",
        seen=(("https://github.com/HIPS/autograd/issues/39",
               "autograd's gradient of indexing used += and was half of what it should be for x[[0, 0]]."),
              ("https://github.com/pymc-devs/pytensor/pull/2242",
               "On one backend gradients through embedding lookups with repeated indices were silently wrong."),
              ("https://github.com/karpathy/nn-zero-to-hero/issues/57",
               "A student's dC[Xb[k]] += demb[k], and the question why it is wrong.")),
        case="embedding: Embedding, padding_idx=None, scale=False, int64"),
    Bug(name="embedding-padding-has-a-gradient",
        title="The row of the padding symbol gets a gradient.",
        function=EMBEDDING + "embedding_backward",
        old="if padding_idx is None else",
        new="if True else",
        looks="The row that should stay 0 begins to move.",
        why="Nothing in the formula d_weight = one_hotᵀ d_rows treats padding otherwise. It is an agreement, which a "
            "version rewritten for speed easily drops.",
        training="Nothing in this model: no token looks at padding and the loss ignores it, so that its gradient is 0 "
                 "anyhow (measured: the same run). A model that sums or averages over all places trains the row.",
        seen=(("https://github.com/pytorch/pytorch/issues/26302",
               "On the GPU the padding's row got a gradient; on the CPU it did not."),
              ("https://github.com/pytorch/pytorch/issues/3506",
               "With sparse gradients padding_idx was ignored.")),
        case="embedding: Embedding, padding_idx=2, scale=True, int64"),
    Bug(name="embedding-scale-missing-in-the-backward",
        title="The forward pass multiplies by √d_model, the backward pass does not.",
        function=EMBEDDING + "embedding_backward",
        old="d_y * scale",
        new="d_y",
        looks="The whole gradient of the table is too small by the factor √d_model: 22 times at the paper's width.",
        why="The gradient of a lookup is complete without the scale, which is a detail of one model.",
        training="Adam would not mind a constant factor. But the table is also the output projection, and the share "
                 "from there is right: now the two are out of proportion. Measured: 88 % of the words right instead "
                 "of 98 %.",
        case="embedding: Embedding, padding_idx=2, scale=True, int64"),
    Bug(name="embedding-tied-gradient-overwritten",
        title="The gradient of a shared table is assigned, not added.",
        function=EMBEDDING + "Embedding.backward",
        old="self.weight.grad += d_weight",
        new="self.weight.grad[...] = d_weight",
        looks="Source, target and output share one table. Its gradient is that of the last backward call alone, which "
              "is the source's. Untied, the model is right.",
        why="`=` is right as long as a parameter is used in one place, and a step makes one backward pass.",
        training="The table learns from the reader alone. Measured: next to no harm in so small a model, where the "
                 "layers around it can make up for it. With gradient accumulation all parts but the last are lost too.",
        seen=(("https://github.com/NVIDIA/TransformerEngine/issues/3437",
               "Two layers that share a weight: with delayed weight gradients they are not accumulated."),
              ("https://github.com/sony/nnabla/pull/532",
               "A library for neural networks did not accumulate the gradient of a variable that is used twice.")),
        case="transformer: tied, post-norm"),
]
