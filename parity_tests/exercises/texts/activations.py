"""Exercises on layers/activations.py."""

from functools import partial

from parity_tests.exercises.model import Exercise

Activation = partial(Exercise, module="numpy_impl.layers.activations")

EXERCISES = [
    Activation(
        name="relu",
        title="one slope for each element",
        difficulty=1,
        task=(
            "`relu` replaces every negative number by 0. You are given d_y, the gradient of the loss with respect to "
            "y: how much the loss changes for a small change of each y. Return d_x, the same for each x. At x = 0 "
            "the function has a corner and so no slope; take 0 there, as torch does."),
        shapes={"d_y": "(...)", "x": "(...)", "d_x": "(...)"},
        hints=(
            "Each y depends on the x at its own place and on no other. So look at one element: if x moves a little, "
            "how far does y move? There are only two answers.",
            "There is one line to reverse, y = max(x, 0). Its slope is 1 where x won the maximum, and 0 where the "
            "constant won. By the chain rule each element of d_x is the element of d_y at the same place, times that "
            "slope. What decides it is x, which the cache holds.",
            "d_x[i] is d_y[i] where x[i] is above 0, strictly, and 0 everywhere else. Comparing the array x with 0 "
            "gives an array of booleans; in a product they count as 1 and 0, and the dtype of d_y stays as it is."),
        why=(
            "A maximum hands on one of its two arguments. Where that is x, y moves just as x does; where it is the "
            "constant, y does not move at all. So the gradient goes through a gate that x has set: how large x is no "
            "longer matters. The comparison is strict, which closes the gate at 0 itself.")),
    Activation(
        name="tanh",
        title="a slope that the result tells",
        difficulty=1,
        task=(
            "`tanh` bends every number into the range from -1 to 1. Return d_x. The cache holds y and not x: express "
            "the slope by what the forward pass has computed already."),
        shapes={"d_y": "(...)", "y": "(...)", "d_x": "(...)"},
        hints=(
            "Which derivative of calculus is asked for? And can it be written with tanh(x) in the place of x?",
            "One line to reverse, y = tanh(x), each element on its own: d_x is d_y times the slope. The slope of "
            "tanh is 1 minus the square of tanh, and tanh(x) is y. So neither x nor another call of tanh is needed.",
            "d_x[i] = d_y[i] · (1 - y[i]²). Where y is near -1 or 1 almost nothing comes through, as tanh is flat "
            "there."),
        why=(
            "The derivative of tanh is 1 - tanh², so y tells the slope. Keeping it costs nothing: it is kept anyway, "
            "as the next layer's input. Far from 0 the slope is almost 0: a saturated tanh lets no gradient through.")),
    Activation(
        name="sigmoid",
        title="another slope that the result tells",
        difficulty=1,
        after=("tanh",),
        task=(
            "`sigmoid` maps every number to the range from 0 to 1. Return d_x, again from y alone."),
        shapes={"d_y": "(...)", "y": "(...)", "d_x": "(...)"},
        hints=(
            "How steep is the sigmoid where y is near 0, where it is 1/2, and where it is near 1? Look for an "
            "expression in y that behaves like this.",
            "Take y = 1 / (1 + exp(-x)) apart: e = exp(-x), s = 1 + e, y = 1 / s. The slopes of these steps are -e, "
            "1 and -1 / s². Multiply them, and write the product with y alone: 1 / s is y, and e / s is 1 minus y.",
            "The product of the slopes is e / s², which is (1 / s) · (e / s), so y · (1 minus y). d_x[i] is d_y[i] "
            "times that, at its own place. It is at most 1/4, in the middle."),
        why=(
            "By the chain rule over exp(-x), the sum and the reciprocal the slope is e / s², where e = exp(-x) and s "
            "= 1 + e. Since y = 1 / s and 1 - y = e / s, this is y (1 - y). Besides saving work, this form cannot "
            "overflow: far to the left e is infinite, but y is 0.")),
    Activation(
        name="silu",
        title="a name that is read twice",
        difficulty=2,
        after=("sigmoid",),
        task=(
            "`silu` multiplies x by a gate between 0 and 1, the sigmoid of x itself. Return d_x. You may call "
            "`sigmoid_backward`, with the cache that `sigmoid` left."),
        shapes={"d_y": "(...)", "x": "(...)", "gate": "(...)", "gate_cache": "for sigmoid_backward", "d_x": "(...)"},
        hints=(
            "How many lines of the forward pass read x? Each is a way on which a change of x reaches y, and each "
            "brings a part of the gradient.",
            "Begin with the last line. y = x * gate is a product: each factor gets d_y times the other factor. That "
            "is a first part for x, and d_gate. Then gate = sigmoid(x): hand d_gate to `sigmoid_backward`; what "
            "returns is the second part for x. The parts are added.",
            "First part: d_y[i] · gate[i]. d_gate[i] = d_y[i] · x[i]. Second part: d_gate[i] times the slope of the "
            "sigmoid, which `sigmoid_backward` knows, given d_gate and gate_cache. d_x is the sum of both parts; "
            "give them names of their own, so that the second cannot overwrite the first."),
        why=(
            "x is read in two places, as a factor and as what opens the gate, so the two gradients are added: this "
            "is the rule for every fork, in every layer that follows. The gate's own gradient is not differentiated "
            "anew: it goes to the backward pass of the function that made the gate.")),
    Activation(
        name="gelu_erf",
        title="look up a derivative, and mind the fork",
        difficulty=2,
        after=("silu",),
        task=(
            "GELU multiplies x by the probability that a standard normal number is below x. Return d_x. The cache "
            "holds `scaled`, which is x / √2, and `probability`."),
        shapes={"d_y": "(...)", "x": "(...)", "scaled": "(...)", "probability": "(...)", "d_x": "(...)"},
        hints=(
            "As in silu, x is read twice. And there is one function whose derivative you may have to look up: erf is "
            "defined as an integral. So what is its slope?",
            "In this order: y = x * probability (a product: the first part for x, and d_probability); probability = "
            "(1 + error) * 0.5 (a constant factor); error = erf(scaled) (its slope is what stands under the integral "
            "of erf, a bell curve, at scaled); scaled = x * √½ (a constant factor: the second part). Add the parts.",
            "erf(s) is 2/√π times the integral of exp(-t²) from 0 to s; its slope at s is (2/√π) · exp(-s²). So: "
            "first part d_y · probability; d_probability is d_y · x; d_error is half of it; d_scaled is d_error "
            "times the slope at scaled; second part √½ times d_scaled. All of them element by element."),
        why=(
            "The constants ½, 2/√π and √½ multiply to 1/√(2π), so the second part is x times the density of the "
            "normal distribution: as x moves, so does the probability of lying below it. The cache keeps `scaled`, "
            "which saves a product, and `probability`, which saves a call of the slow erf.")),
    Activation(
        name="gelu_tanh",
        title="a chain with forks",
        difficulty=2,
        after=("tanh", "gelu_erf"),
        task=(
            "This GELU takes tanh of a polynomial in the place of erf. Return d_x. It is not the derivative of the "
            "exact GELU: differentiate the lines that stand here."),
        shapes={"d_y": "(...)", "x": "(...)", "bent": "(...)", "probability": "(...)", "d_x": "(...)"},
        hints=(
            "Mark every line of the forward pass that reads x. How many parts will d_x have? Then walk back, one "
            "line at a time.",
            "In this order: y = x * probability (a product: a part for x, and d_probability); probability = (1 + "
            "bent) * 0.5 (a constant factor); bent = tanh(inner) (one minus the square of bent); inner = (x + cubed "
            "* 0.044715) * √(2/π) (a part for x, and d_cubed, each with its constants); cubed = x³ (slope 3x²: the "
            "third part). Add three parts.",
            "d_probability = d_y · x. d_bent is half of it. d_inner = d_bent · (1 - bent²). With c = √(2/π): the "
            "part from inner is c · d_inner; d_cubed is 0.044715 · c · d_inner; the part from cubed is 3x² · "
            "d_cubed. The part from y is d_y · probability. Forgetting the part from cubed gives an error that is "
            "small near 0 only."),
        why=(
            "x is read by three lines, so three parts are added. Each line has a simple rule; only the constants "
            "have to be carried along. All slopes depend on x alone, so the collapsed form computes the whole slope "
            "in the forward pass, where its ingredients are at hand, and keeps one array where the plain form keeps "
            "three.")),
]
