"""The doctor's diagnosis: backward passes as learners write them, wrong ones, and what they must be told."""

import inspect
import linecache
import textwrap

import numpy as np
import pytest

from numpy_impl.layers import attention
from parity_tests.harness.bugs import all_bugs
from parity_tests.harness.doctor import catalogue, edits, evidence, places, ratios, repairs, structure
from parity_tests.harness.doctor.compare import compare
from parity_tests.harness.doctor.grade import Judged, grade
from parity_tests.harness.doctor.jobs import Result
from parity_tests.harness.doctor.subjects import cases_of, example_of, subject_of, variants_of


def function_from(source, name, filename):
    """The function of this name, from a source that looks like a notebook's cell."""
    source = textwrap.dedent(source)
    linecache.cache[filename] = len(source), None, source.splitlines(keepends=True), filename
    namespace = {"np": np}
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]


def verdict_on(name, source):
    """The verdict on a source with `<name>_backward`, and perhaps `<name>`."""
    filename = f"<{name} {abs(hash(source))}>"
    backward = function_from(source, f"{name}_backward", filename)
    return grade(name, backward=backward, forward=backward.__globals__.get(name), time_limit=20)


def texts(verdict):
    return "\n".join(map(str, verdict.diagnosis))


# What is wrong, and in which words it must be told. Each is written as a learner would, with names of their own.

ATTENTION_START = """
def scaled_dot_product_attention_backward(dout, cache):
    q, k, v, mask, scale, p_drop, softmax_cache, dropout_cache = cache
    w = softmax_cache[3]
    dp = dout @ v.swapaxes(-1, -2)
    dv = p_drop.swapaxes(-1, -2) @ dout
"""
WRONG = {
    "the exponent of std": ("layer_norm", """
        def layer_norm_backward(dy, cache):
            xc, std, xhat, gamma = cache
            n = dy.shape[-1]
            axes = tuple(range(dy.ndim - 1))
            g = dy * gamma
            dvar = (g * xc).sum(-1, keepdims=True) * -0.5 / std ** 4
            dmean = (-g / std).sum(-1, keepdims=True)
            dx = g / std + dvar * 2 * xc / n + dmean / n
            return dx, (dy * xhat).sum(axes), dy.sum(axes)
        """, ["line 7", "exponent"]),
    "the cache unpacked in another order": ("layer_norm", """
        def layer_norm_backward(dy, cache):
            xhat, std, xc, gamma = cache
            axes = tuple(range(dy.ndim - 1))
            g = dy * gamma
            dx = (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True)) / std
            return dx, (dy * xhat).sum(axes), dy.sum(axes)
        """, ["line 3", "not in the order in which the cache has them"]),
    "gradients in another order": ("layer_norm", """
        def layer_norm_backward(dy, cache):
            xc, std, xhat, gamma = cache
            axes = tuple(range(dy.ndim - 1))
            g = dy * gamma
            dx = (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True)) / std
            return dx, dy.sum(axes), (dy * xhat).sum(axes)
        """, ["in the wrong order", "return as d_gamma is d_beta"]),
    "the form of evaluation": ("batch_norm_training", """
        def batch_norm_training_backward(dy, cache):
            xc, std, xhat, gamma, count = cache
            d = dy.reshape(xc.shape)
            return (d * gamma / std).reshape(dy.shape), (d * xhat).sum(0), d.sum(0)
        """, ["only what comes through `x_hat`", "through `squared`"]),
    "averaged over the batch": ("linear", """
        def linear_backward(dy, cache):
            rows, w, b, shape = cache
            d = dy.reshape(-1, w.shape[0])
            n = shape[0]
            return (d @ w).reshape(shape), d.T @ rows / n, None if b is None else d.sum(0)
        """, ["line 6", "exactly 1 / B times", "the batch size"]),
    "the wrong sum in softmax": ("softmax", """
        def softmax_backward(dy, cache):
            e, total, divisor, y, axis = cache
            return y * (dy - dy.mean(axis=axis, keepdims=True))
        """, ["line 4", "what is summed"]),
    "softmax for log_softmax": ("log_softmax", """
        def log_softmax_backward(dy, cache):
            p = np.exp(cache[2])
            return p * (dy - (dy * p).sum(axis=cache[3], keepdims=True))
        """, ["exactly the gradient of softmax"]),
    "the tanh form of GELU": ("gelu_erf", """
        def gelu_erf_backward(dy, cache):
            x = cache[0]
            t = np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))
            slope = 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x)
            return dy * (0.5 * (1 + t) + slope)
        """, ["exactly the gradient of gelu_tanh"]),
    "one path of GELU": ("gelu_tanh", """
        def gelu_tanh_backward(dy, cache):
            x, bent, probability = cache
            return dy * probability
        """, ["only the part that comes through `y`", "`inner` and `cubed`"]),
    "the slope of the gradient": ("relu", """
        def relu_backward(dy, cache):
            return np.maximum(dy, 0)
        """, ["not linear in d_y", "does not depend on x"]),
    "the upstream gradient forgotten": ("sigmoid", """
        def sigmoid_backward(dy, cache):
            y, = cache
            return y * (1 - y)
        """, ["for an upstream gradient of all ones", "line 4"]),
    "repeated ids": ("embedding", """
        def embedding_backward(dy, cache):
            ids, shape, padding, scale = cache
            dw = np.zeros(shape, dy.dtype)
            dw[ids] += dy * scale
            if padding is not None:
                dw[padding] = 0
            return dw
        """, ["line 5", "an index that occurs several times"]),
    "padding": ("embedding", """
        def embedding_backward(dy, cache):
            ids, shape, padding, scale = cache
            dw = np.zeros(shape, dy.dtype)
            np.add.at(dw, ids, dy * scale)
            return dw
        """, ["only in the padding's row", "no padding id"]),
    "divided by all tokens": ("cross_entropy", """
        def cross_entropy_backward(d_loss, cache):
            counted, count, classes, eps, softmax_cache, shape, dtype = cache
            target = np.eye(shape[-1], dtype=dtype)[classes] * (1 - eps) + eps / shape[-1]
            d = (np.exp(softmax_cache[2]) - target) * counted[..., None]
            return d_loss * d / counted.size
        """, ["line 6", "`counted.size` is wrong", "(the number of targets that count) / (the number of all targets)"]),
    "ignored tokens": ("cross_entropy", """
        def cross_entropy_backward(d_loss, cache):
            counted, count, classes, eps, softmax_cache, shape, dtype = cache
            target = np.eye(shape[-1], dtype=dtype)[classes] * (1 - eps) + eps / shape[-1]
            return d_loss * (np.exp(softmax_cache[2]) - target) / count
        """, ["only in the rows whose target is ignored"]),
    "no transpose before the reshape": ("split_heads", """
        def split_heads_backward(d, cache):
            return d.reshape(cache)
        """, ["line 3", "axes in the wrong order"]),
    "an operand not transposed": ("scaled_dot_product_attention", ATTENTION_START + """
    if dropout_cache[0] is not None:
        dp = dp * dropout_cache[0]
    ds = w * (dp - (dp * w).sum(-1, keepdims=True)) * scale
    return ds @ k, ds @ q, dv
""", ["ValueError: matmul", "line 11", "`ds` has its axes in the wrong order"]),
    "dropped weights in the softmax": ("scaled_dot_product_attention", ATTENTION_START + """
    if dropout_cache[0] is not None:
        dp = dp * dropout_cache[0]
    ds = p_drop * (dp - (dp * p_drop).sum(-1, keepdims=True)) * scale
    return ds @ k, ds.swapaxes(-1, -2) @ q, dv
""", ["line 10", "`p_drop` is not the right array", "as soon as there is no dropout"]),
    "a constant in one term": ("gelu_erf", """
        def gelu_erf_backward(dy, cache):
            x, _, cdf = cache
            pdf = np.exp(-x ** 2 / 2)
            return dy * (cdf + x * pdf)
        """, ["line 4", "1 / sqrt(2 pi)"]),
    "a factor of one minus": ("silu", """
        def silu_backward(dy, cache):
            x, s, _ = cache
            return dy * (s + x * s)
        """, ["line 4", "a factor is missing: (1 - s)"]),
    "a function left out": ("log_softmax", """
        def log_softmax_backward(dy, cache):
            logp, axis = cache[2:]
            return dy - logp * dy.sum(axis=axis, keepdims=True)
        """, ["line 4", "`logp` itself is not what is needed there"]),
    "one step too many": ("layer_norm", """
        def layer_norm_backward(dy, cache):
            xc, std, xhat, gamma = cache
            n = dy.shape[-1]
            axes = tuple(range(dy.ndim - 1))
            g = dy * gamma
            dvar = (g * xc).sum(-1, keepdims=True) * -0.5 / std ** 3
            dxc = g / std + 2 * xc * dvar / (n - 1)
            return dxc - dxc.mean(-1, keepdims=True), (dy * xhat).sum(axes), dy.sum(axes)
        """, ["line 8", "something in `n - 1` is too much"]),
    "the axes of another norm": ("layer_norm", """
        def layer_norm_backward(dy, cache):
            _, std, xhat, gamma = cache
            axes = tuple(range(dy.ndim - 1))
            n = dy.size // dy.shape[-1]
            g = dy * gamma
            dx = (n * g - g.sum(axes) - xhat * (g * xhat).sum(axes)) / (n * std)
            return dx, (dy * xhat).sum(axes), dy.sum(axes)
        """, ["mixes what lies along axis 0"]),
    "an inverted mask": ("dropout", """
        def dropout_backward(dy, cache):
            factor, = cache
            return dy if factor is None else np.where(factor == 0, dy, 0)
        """, ["0 exactly where the truth is not", "a mask is inverted"]),
    "the slope of another activation": ("sigmoid", """
        def sigmoid_backward(dy, cache):
            y, = cache
            return dy * (1 - y ** 2)
        """, ["that is how tanh has its slope"]),
    "two mistakes in one gradient": ("cross_entropy", """
        def cross_entropy_backward(d_loss, cache):
            counted, count, classes, eps, softmax_cache, shape, dtype = cache
            p = np.exp(softmax_cache[2]) - np.eye(shape[-1], dtype=dtype)[classes]
            return d_loss * p * counted[..., None] / shape[0]
        """, ["but for a constant factor, which is a second mistake, as soon as label_smoothing = 0"]),
    "a loop that keeps its last turn": ("linear", """
        def linear_backward(dy, cache):
            rows, w, b, shape = cache
            d = dy.reshape(-1, w.shape[0])
            for i in range(len(rows)):
                dw = np.outer(d[i], rows[i])
            return (d @ w).reshape(shape), dw, None if b is None else d.sum(0)
        """, ["line 6", "each turn of the loop overwrites `dw`"]),
    "a comparison for a gradient": ("tanh", """
        def tanh_backward(dy, cache):
            return dy > 0
        """, ["not linear in d_y"]),
    "one layout alone": ("rotate_pairs", """
        def rotate_pairs_backward(dy, cache):
            cos, sin, layout = cache
            half = dy.shape[-1] // 2
            a, b = dy[..., :half], dy[..., half:]
            return np.concatenate([a * cos + b * sin, b * cos - a * sin], -1)
        """, ["the other layout", "wrong in \"positional_encoding: rotate_pairs, interleaved\""]),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_cause_is_told(what, monkeypatch):
    monkeypatch.setattr(catalogue, "candidates", lambda evidence: [])    # without the help of the catalogue
    name, source, told = WRONG[what]
    verdict = verdict_on(name, source)
    assert not verdict.passed
    for text in told:
        assert text in texts(verdict)


def test_a_known_bug_is_recognized_in_other_words():
    verdict = verdict_on("layer_norm", """
        def layer_norm_backward(dy, cache):
            _, s, h, g = cache
            rows = tuple(range(dy.ndim - 1))
            a, b = dy.mean(-1, keepdims=True), np.mean(dy * h, axis=-1, keepdims=True)
            return g / s * (dy - a - h * b), np.sum(dy * h, axis=rows), np.sum(dy, axis=rows)
        """)
    bug = all_bugs()[verdict.diagnosis[0].bug]
    assert "layer_norm" in bug.function and "gamma" in bug.title
    assert f"bugs show {bug.name}" in str(verdict)
    assert "right as soon as gamma = 1" in texts(verdict)


def test_two_mistakes_are_both_told():
    verdict = verdict_on("layer_norm", """
        def layer_norm_backward(dy, cache):
            _, s, h, g = cache
            d = dy * g
            dx = (d - d.mean(-1, keepdims=True) + h * (d * h).mean(-1, keepdims=True)) / s
            rows = tuple(range(dy.ndim - 1))
            return dx, (dy * h).mean(rows), dy.sum(rows)
        """)
    told = {name for finding in verdict.diagnosis for name in finding.names}
    assert {"d_x", "d_gamma"} <= told
    assert any(finding.names == ("d_x",) and finding.line == 5 for finding in verdict.diagnosis)


def test_the_first_wrong_local_is_named_whatever_it_is_called():
    verdict = verdict_on("rms_norm", """
        def rms_norm_backward(dy, cache):
            x, rms, xhat, gamma = cache
            dgamma = (dy * xhat).sum(tuple(range(dy.ndim - 1)))
            dxhat = dy * gamma
            drms = (dxhat * xhat / rms).sum(-1, keepdims=True)
            dx = dxhat / rms + drms / (rms * x.shape[-1]) * x
            return dx, dgamma
        """)
    assert (verdict.first_wrong.name, verdict.first_wrong.line) == ("drms", 6)
    assert verdict.first_wrong.source.startswith("drms =")
    assert "sign" in texts(verdict) and "line 6" in texts(verdict)


def test_an_own_forward_pass_is_diagnosed_too():
    verdict = verdict_on("layer_norm", """
        def layer_norm(x, gamma, beta, eps):
            mean = x.mean(-1, keepdims=True)
            std = np.sqrt(x.var(-1, keepdims=True)) + eps
            x_hat = (x - mean) / std
            return x_hat * gamma + beta, (std, x_hat, gamma)

        def layer_norm_backward(dy, cache):
            std, x_hat, gamma = cache
            rows = tuple(range(dy.ndim - 1))
            d = dy * gamma
            dx = (d - d.mean(-1, keepdims=True) - x_hat * (d * x_hat).mean(-1, keepdims=True)) / std
            return dx, (dy * x_hat).sum(rows), dy.sum(rows)
        """)
    assert "y" in {row.name for row in verdict.counted if row.problem}
    assert (verdict.first_wrong.name, verdict.first_wrong.line) == ("std", 4)


def test_a_step_is_not_suspected_for_its_name():
    """A local with the name of ours that is another thing: here `y` before the bias, and `dq` before the scale."""
    verdict = verdict_on("scaled_dot_product_attention", ATTENTION_START + """
    if dropout_cache[0] is not None:
        dp = dp * dropout_cache[0]
    d_scores = w * (dp - (dp * w).sum(-1, keepdims=True)) * scale
    dk = d_scores.swapaxes(-1, -2) @ q
    return d_scores @ k * 1.5, dk, dv
""")
    assert verdict.first_wrong.name == "d_query"
    assert "d_scores" not in {row.name for row in verdict.rows}


def test_a_bug_counts_only_where_it_explains_every_case():
    """(1 - p) / p is 1.5 where p = 0.4; without dropout the gradient is wrong too, and no bug of dropout explains that.
    """
    verdict = verdict_on("scaled_dot_product_attention", ATTENTION_START + """
    if dropout_cache[0] is not None:
        dp = dp * dropout_cache[0]
    ds = w * (dp - (dp * w).sum(-1, keepdims=True)) * scale
    return 1.5 * ds @ k, 1.5 * ds.swapaxes(-1, -2) @ q, 1.5 * dv
""")
    assert not any(finding.bug for finding in verdict.diagnosis)
    assert "1.5 times the true gradient" in texts(verdict)


def test_a_wrong_gradient_of_a_module_with_ids():
    from numpy_impl.layers.embedding import Embedding as Ours

    class Embedding(Ours):
        def backward(self, d_y):
            super().backward(d_y)
            self.weight.grad[1:] = 0
    verdict = grade("Embedding", module=Embedding)
    assert not verdict.passed and "d_weight" in texts(verdict)


def test_it_never_says_wrong_alone():
    verdict = verdict_on("tanh", """
        def tanh_backward(dy, cache):
            y, = cache
            return dy * (np.cos(y) + 0.3 * y)
        """)
    assert not verdict.passed and verdict.diagnosis
    assert "d_x is wrong at" in texts(verdict) and "must be" in texts(verdict)


# Single tests

def evidence_of(name, changed, cases=2):
    """Evidence on a learner whose gradients are `changed(name, truth, example)`."""
    subject, judged = subject_of(name), Judged()
    for case in variants_of(subject, cases_of(subject))[:cases]:
        example = example_of(subject, case, independent=False)
        gradients = tuple(changed(name, truth, example) for name, truth in example.truth.items())
        result = Result(gradients=gradients)
        judged.pairs.append((example, result, compare(subject, example, result)[0]))
    return evidence.Evidence(subject, judged)


@pytest.mark.parametrize("change, told", [
    (lambda name, truth, example: -truth, "right but for the sign"),
    (lambda name, truth, example: truth * example.sizes["D"], "exactly D times"),
    (lambda name, truth, example: truth / np.sqrt(example.sizes["T"]), "exactly 1 / sqrt(T) times"),
    (lambda name, truth, example: truth * 1.2345, "1.2345 times the true gradient, whatever the sizes"),
    (lambda name, truth, example: truth[::-1], "reversed along axis 0"),
    (lambda name, truth, example: np.roll(truth, 1, axis=1), "one place too far on along axis 1"),
    (lambda name, truth, example: truth + truth.sum(-1, keepdims=True), "same number all along axis 2"),
    (lambda name, truth, example: truth * np.arange(1, truth.shape[1] + 1)[:, None], "each index of axis 1"),
    (lambda name, truth, example: np.sort(truth, axis=None).reshape(truth.shape), "right numbers at the wrong places"),
    (lambda name, truth, example: truth * (1 + 3e-8 * np.sin(truth)), "right to 7 digits"),
    (lambda name, truth, example: np.broadcast_to(truth.mean(1, keepdims=True), truth.shape).copy(), "along axis 1"),
])
def test_ratio_tests(change, told):
    found = ratios.find(evidence_of("silu", change))
    assert len(found) == 1 and told in found[0].text


def test_a_factor_of_one_case_alone_stays_open():
    found = ratios.find(evidence_of("silu", lambda name, truth, example: truth * 3, cases=1))
    assert "is 3 (perhaps T) times" in found[0].text


@pytest.mark.parametrize("change, told", [
    (lambda name, truth, example: np.where(example.inputs["x"] < 0, 2 * truth, truth), "only where x is negative"),
    (lambda name, truth, example: truth * (np.arange(truth.shape[-1]) % 2), "only in the even columns"),
    (lambda name, truth, example: np.where(np.arange(len(truth))[:, None, None] == 0, truth, 0), "right only at index "
                                                                                                 "0"),
])
def test_places(change, told):
    found = places.find(evidence_of("silu", change))
    assert found and told in found[0].text


@pytest.mark.parametrize("actual, expected, told", [
    (np.ones((2, 3, 5)), np.full(5, 6.0), "sum over the axes (0, 1)"),
    (np.ones((2, 3, 5)), np.full((2, 1, 5), 3.0), "and keep them, as axes of length 1"),
    (np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, "transpose it"),
    (np.arange(24.0).reshape(2, 3, 4), np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2), "its axes to (1, 0, 2)"),
    (np.arange(6.0), np.arange(6.0).reshape(2, 3), "reshape it"),
    (np.ones(()), np.ones((2, 3)), "summed over too many axes"),
    (np.ones((2, 3)), np.concatenate([np.ones((2, 3)), np.zeros((4, 3))]), "the first part of it"),
])
def test_hints_at_shapes(actual, expected, told):
    assert told in structure.shape_hint(actual, expected)


def test_every_kind_of_edit_has_a_saying():
    source = textwrap.dedent("""
        def f(d_y, cache):
            a, b = cache
            total = (d_y * a).sum(axis=-1) + np.sum(b, 0) - (a * a).mean()
            total += -a ** 2 / b.size
            out = np.zeros(3)
            out[a > 0] = np.where(a, b, 0)
            c = (a @ b).T.reshape(3).swapaxes(0, 1)
            for i in range(3):
                total = total + out[i]
            return total, out
        """)
    node = edits.ast.parse(source).body[0]
    before = edits.ast.dump(node)
    kinds = {edit.kind for edit in edits.edits(node, ("2",), ("`mean`",), ("x_hat",), ("d_a",))}
    assert kinds - {"constant"} <= repairs.SAYINGS.keys()    # a constant becomes a factor when its value is known
    assert {"axis", "sign", "operator", "power", "transpose", "matmul order", "name", "factor", "term", "path",
            "repeated index", "accumulate", "overwritten", "constant", "function", "reverse", "value",
            "order of the results", "order of the names", "order of where"} <= kinds
    assert edits.ast.dump(node) == before, "an edit was not undone"


def test_a_local_that_equals_a_right_gradient_is_never_blamed(own_file):
    """Here q, k and v are gradients, whatever else those names stand for elsewhere."""
    verdict = grade("scaled_dot_product_attention", own_file("""
        from numpy_impl.layers import attention

        def scaled_dot_product_attention_backward(d_output, cache):
            q, k, v = attention.scaled_dot_product_attention_backward(d_output, cache)
            k = k * k
            return q, k, v
        """))
    assert (verdict.first_wrong.name, verdict.first_wrong.line) == ("k", 6)


def test_noise_is_not_called_right(own_file):
    verdict = grade("softmax", own_file("""
        import numpy as np
        from numpy_impl.layers.softmax import softmax_backward as right

        def softmax_backward(d_y, cache):
            return right(d_y, cache) * (1 + 1e-4 * np.random.randn(*d_y.shape))
        """))
    assert "gives another result later" in verdict.diagnosis[0].text
    assert not any("are right" in finding.text for finding in verdict.diagnosis)


def test_a_cache_that_is_taken_for_an_array(own_file):
    verdict = grade("softmax", own_file("""
        def softmax_backward(d_y, cache):
            y = cache
            return y * (d_y - (d_y * y).sum(axis=-1, keepdims=True))
        """))
    assert "The cache holds exponentials, total, divisor, y, axis" in verdict.diagnosis[0].text


def test_no_advice_is_given_that_spoils_other_cases():
    """Without a mask `np.where(mask, ...)` chooses zeros everywhere; exchanged they would be right, but there alone."""
    source = inspect.getsource(attention)
    line = "d_masked_scores if mask is None else np.where(mask, d_masked_scores, 0)"
    assert source.count(line) == 1
    verdict = verdict_on("scaled_dot_product_attention", source.replace(line, "np.where(mask, d_masked_scores, 0)"))
    assert verdict.diagnosis and "exchanged" not in texts(verdict)
    assert "`mask` is not the right array there" in texts(verdict) and "without mask" in texts(verdict)
    assert repr(verdict) == str(verdict)
