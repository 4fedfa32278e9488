"""The figures of the demo."""

import matplotlib
import numpy as np

from numpy_impl.inference.translation import translate
from numpy_impl.text.batches import pad

matplotlib.use("Agg")
from matplotlib import font_manager    # noqa: E402  (the backend comes first)
from matplotlib import pyplot as plt    # noqa: E402

# matplotlib brings the first; Japanese dates need one of the others.
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "IPAexGothic", "IPAGothic", "TakaoGothic", "Hiragino Sans", "Yu Gothic")


def losses(history, path):
    """Save both loss curves, one over the other. history: rows of the demo. Returns the path."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    steps = [row["step"] for row in history]
    axes.plot(steps, [row["numpy_loss"] for row in history], linewidth=5, alpha=0.4, label="NumPy, by hand")
    axes.plot(steps, [row["torch_loss"] for row in history], linewidth=1, color="black", label="PyTorch, autograd")
    axes.set(yscale="log", xlabel="step", ylabel="loss (nats per symbol)", title="Two implementations, one curve")
    axes.legend()
    return save(figure, path)


def differences(history, dtype, path):
    """Save how far the twins are apart at each step. Returns the path."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    eps = np.finfo(dtype).eps
    steps = np.array([row["step"] for row in history])
    losses_apart = np.array([abs(row["numpy_loss"] - row["torch_loss"]) for row in history])
    unequal = losses_apart > 0    # a logarithmic axis has no place for 0
    probed = [row for row in history if "gradient_difference_at_equal_weights" in row]
    axes.plot(steps, [row["gradient_difference"] * eps for row in history], linewidth=1, color="tab:green",
              label="any gradient (relative)")
    axes.plot(steps, [row["parameter_difference"] for row in history], linewidth=1, color="tab:orange",
              label="any parameter")
    axes.plot(steps[unequal], losses_apart[unequal], ".", markersize=2, color="tab:blue", label="loss")
    axes.plot([row["step"] for row in probed], [row["gradient_difference_at_equal_weights"] * eps for row in probed],
              "o", markersize=4, color="black", label="any gradient at equal weights (relative)")
    axes.axhline(eps, color="gray", linestyle=":", label=f"eps of {dtype}")
    axes.set(yscale="log", xlabel="step", ylabel="largest difference", title="NumPy and PyTorch after the same steps")
    axes.legend(fontsize=8)
    return save(figure, path)


def cross_attention(trainer, text, path):
    """Save where each head of each decoder layer looks while it translates `text`. Returns the path.

    A row of a panel is an output symbol, a column a source symbol; a row sums to 1.
    """
    model, vocabulary = trainer.model.eval(), trainer.task.vocabulary
    [[(translation, _)]] = translate(trainer.twin, model, trainer.task, [text])
    source, target = trainer.task.encode_source(text), vocabulary.encode(translation)
    layers = [layer.cross_attention.sublayer for layer in model.decoder.layers]
    for layer in layers:
        layer.keep_weights = True
    model(trainer.twin.from_numpy(pad([source])), trainer.twin.from_numpy(pad([[vocabulary.BOS, *target]])))
    columns, rows = symbols(vocabulary, source), symbols(vocabulary, [*target, vocabulary.EOS])
    rotation = 90 if any(len(column) > 3 for column in columns) else 0    # long ones, such as <en_us>, would overlap
    heads = layers[0].num_heads
    size = (1 + 0.14 * len(columns) * heads, 1 + 0.26 * len(rows) * len(layers))
    figure, grid = plt.subplots(len(layers), heads, figsize=size, squeeze=False, sharex=True, sharey=True,
                                layout="constrained")
    with plt.rc_context({"font.family": installed_fonts()}):
        for index, layer in enumerate(layers):
            for head, axes in enumerate(grid[index]):
                weights = trainer.twin.to_numpy(layer.kept_weights)[0, head]
                axes.imshow(weights, vmin=0, vmax=1, cmap="viridis", aspect="auto")
                axes.set_title(f"layer {index + 1}, head {head + 1}", fontsize=8)
                axes.set_xticks(range(len(columns)), columns, fontsize=6, rotation=rotation)
                axes.set_yticks(range(len(rows)), rows, fontsize=6)
                layer.keep_weights = False
        figure.suptitle("Cross-attention: each output symbol (row) looks at source symbols (columns)", fontsize=9)
        return save(figure, path)


def symbols(vocabulary, ids):
    """What to write at an axis for each id; a character that no installed font has becomes its code, as in U+5E74."""
    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in installed_fonts()]
    names = {vocabulary.EOS: "end", vocabulary.encode(" ")[0]: "␣"}
    return [names.get(i) or drawable(vocabulary.symbols[i], fonts) for i in ids]


def drawable(symbol, fonts):
    """`symbol`, or its code if it is one character that no font has."""
    known = len(symbol) > 1 or any(font.get_char_index(ord(symbol)) for font in fonts)
    return symbol if known else f"U+{ord(symbol):04X}"


def installed_fonts():
    """The names of those FONTS that are installed."""
    return [name for name in FONTS if name in font_manager.get_font_names()]


def save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path
