"""Small edits of a function: what somebody may have meant to write. Each is tried by the search in `repair`.

An edit changes one place of the syntax tree; the tree is changed, tried and changed back.
"""

import ast
import contextlib
import copy
import itertools
from typing import NamedTuple

from parity_tests.harness.doctor.source import DOCTOR

CONSTANT = "the factor"  # the name of a number that the search finds
LOOKED_UP = f"{DOCTOR}[{CONSTANT!r}]"
AXES = ("axis", "-1", "-2", "0", "1", "2", "(0, 1)", "(0, 2)", "(1, 2)", "(0, 1, 2)", "(-2, -1)")
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
COMPARISONS = (ast.Gt, ast.Lt, ast.GtE, ast.LtE, ast.Eq, ast.NotEq)
FUNCTIONS = ("np.exp({0})", "np.log({0})", "np.sqrt({0})", "({0} * {0})", "(1 - {0})")
SWAPPED_CALLS = {"sum": "mean", "mean": "sum", "maximum": "minimum", "sin": "cos", "cos": "sin", "zeros": "ones",
                 "concatenate": "stack", "repeat": "tile", "tile": "repeat"}


class Edit(NamedTuple):
    """rank: the plainer an edit, the lower. kind: what is changed. detail: the piece of source that it is about."""

    rank: int
    kind: str
    line: int
    detail: str
    before: str
    after: str


def edits(function, factors, terms, arrays, values):
    """Yield an Edit each time one stands in the tree of `function`, plain ones first; it is undone afterwards.

    factors, terms, arrays, values: names that edited code can look up under DOCTOR.
    """
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and node is not function
                  and not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom))]
    statements = [node for node in statements if not isinstance(getattr(node, "value", None), ast.Constant)
                  or not isinstance(node, ast.Expr)]    # docstrings
    names = _names(function)
    yield from _exchanges(function, statements, names)
    loops = [node for node in ast.walk(function) if isinstance(node, (ast.For, ast.While))]
    in_loop = {inner for loop in loops for inner in ast.walk(loop)}
    for generate, found in ((_plain_edits, (in_loop,)), (_name_edits, ()), (_array_edits, (arrays, factors)),
                            (_factor_edits, (factors,)), (_term_edits, (terms,)), (_value_edits, (values,))):
        for statement in statements:
            yield from generate(statement, names, *found)


def _names(function):
    """{name: the line from which on it is assigned} of the arguments and locals."""
    found = {argument.arg: 0 for argument in [*function.args.args, *function.args.kwonlyargs] if argument.arg != "self"}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = min(found.get(node.id, node.lineno), node.lineno)
    return {name: line for name, line in found.items() if name != "cache"}


@contextlib.contextmanager
def _set(parent, field, index, new):
    """Put a node into the tree while the block runs."""
    if index is None:
        old = getattr(parent, field)
        setattr(parent, field, new)
    else:
        old = getattr(parent, field)[index]
        getattr(parent, field)[index] = new
    try:
        yield
    finally:
        if index is None:
            setattr(parent, field, old)
        else:
            getattr(parent, field)[index] = old


def _try(statement, place, new, rank, kind, detail):
    """Yield one Edit of an expression."""
    before = ast.unparse(statement)
    ast.fix_missing_locations(ast.copy_location(new, statement))
    parent, field, index = place
    with _set(parent, field, index, new):
        after = ast.unparse(statement)
        if after != before:
            yield Edit(rank, kind, statement.lineno, detail, before, after)


def _places(statement):
    """(parent, field, index) of every expression that a statement reads, outermost first; not of nested statements."""
    queue = [statement]
    while queue:
        parent = queue.pop(0)
        for field, value in ast.iter_fields(parent):
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                is_target = isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
                if isinstance(node, ast.expr) and not is_target:
                    yield (parent, field, index), node
                if isinstance(node, (ast.expr, ast.keyword)) and not isinstance(node, ast.stmt):
                    queue.append(node)


def _expression(text):
    return ast.parse(text, mode="eval").body


# Two names, or two modules, exchanged in the whole function

def _exchanges(function, statements, names):
    read = [node for statement in statements for _, node in _places(statement)]
    attributes = [node for node in read if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                  and node.value.id == "self"]
    variables = [node for node in read if isinstance(node, ast.Name) and node.id in names]
    for nodes, field in ((attributes, "attr"), (variables, "id")):
        known = list(dict.fromkeys(getattr(node, field) for node in nodes))
        for one, other in itertools.combinations(known, 2):
            swap = {one: other, other: one}
            changed = [node for node in nodes if getattr(node, field) in swap]
            before = ast.unparse(function)
            with contextlib.ExitStack() as stack:
                for node in changed:
                    stack.enter_context(_set(node, field, None, swap[getattr(node, field)]))
                line = min(node.lineno for node in changed)
                after = f"{one} and {other} exchanged"
                yield Edit(1, "exchanged", line, f"`{one}` and `{other}`", before, after)


# Plain edits: axes, signs, operators, transposes, order

def _plain_edits(statement, _, in_loop=frozenset()):
    for place, node in list(_places(statement)):
        yield from _axis_edits(statement, place, node)
        for new, rank, kind in _alternatives(node, place):
            yield from _try(statement, place, new, rank, kind, ast.unparse(node))
    yield from _axis_everywhere(statement)
    yield from _order_edits(statement)
    yield from _assignment_edits(statement, statement in in_loop)


def _axis_edits(statement, place, node):
    parent, field, _ = place
    if isinstance(parent, ast.keyword) and parent.arg == "axis" and field == "value":
        for text in AXES:
            yield from _try(statement, place, _expression(text), 0, "axis", f"axis={ast.unparse(node)}")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean", "max"):
        position = 1 if isinstance(node.func.value, ast.Name) and node.func.value.id == "np" else 0
        if len(node.args) > position:
            for text in AXES:
                yield from _try(statement, (node, "args", position), _expression(text), 0, "axis", ast.unparse(node))
        elif not any(keyword.arg == "axis" for keyword in node.keywords):
            for text in ("-1", "0"):
                new = copy.deepcopy(node)
                new.keywords += [ast.keyword("axis", _expression(text)), ast.keyword("keepdims", ast.Constant(True))]
                yield from _try(statement, place, new, 0, "axis", ast.unparse(node))
        if not any(keyword.arg == "keepdims" for keyword in node.keywords):
            new = copy.deepcopy(node)
            new.keywords.append(ast.keyword("keepdims", ast.Constant(True)))
            yield from _try(statement, place, new, 0, "keepdims", ast.unparse(node))


def _axis_everywhere(statement):
    """All axes of a statement, which are one and the same, are changed together."""
    keywords = [node for node in ast.walk(statement) if isinstance(node, ast.keyword) and node.arg == "axis"]
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
             and node.func.attr in ("sum", "mean") and len(node.args) == 1 and not isinstance(node.args[0], ast.Name)]
    holders = [(keyword, "value", None) for keyword in keywords] + [(call, "args", 0) for call in calls]
    if len(holders) < 2:
        return
    before = ast.unparse(statement)
    for text in AXES:
        with contextlib.ExitStack() as stack:
            for parent, field, index in holders:
                new = ast.fix_missing_locations(ast.copy_location(_expression(text), statement))
                stack.enter_context(_set(parent, field, index, new))
            after = ast.unparse(statement)
            if after != before:
                yield Edit(0, "axes", statement.lineno, before, before, after)


def _alternatives(node, place):
    """(new node, rank, kind) of what may stand in the place of a node."""
    if isinstance(node, ast.BinOp):
        yield from _of_operation(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert, ast.Not)):
        yield node.operand, 1, "sign" if isinstance(node.op, ast.USub) else "negation"
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for operator in COMPARISONS:
            if not isinstance(node.ops[0], operator):
                yield ast.Compare(node.left, [operator()], node.comparators), 1, "comparison"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for value in (node.value + 1, node.value - 1, node.value * 2, node.value / 2, 3 * node.value, -node.value):
            if value != node.value:
                yield ast.Constant(value), 2, "number"
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value, 1, "transpose"
    elif isinstance(node, ast.Attribute) and node.attr in SWAPPED_CALLS:
        yield ast.Attribute(node.value, SWAPPED_CALLS[node.attr], node.ctx), 1, "call"
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    if isinstance(node, ast.Name) and not _is_measured(place[0]):
        for function in FUNCTIONS:
            yield _expression(function.format(node.id)), 3, "function"
        yield _expression(f"{node.id}[::-1]"), 3, "reverse"
        for text in ("-1", "0"):
            for method in ("sum", "mean"):
                yield _expression(f"{node.id}.{method}({text}, keepdims=True)"), 3, "reduce"
    is_factor = isinstance(place[0], ast.BinOp) and isinstance(place[0].op, ast.MatMult)
    if is_factor and isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
        yield _expression(f"({ast.unparse(node)}).swapaxes(-1, -2)"), 1, "transpose"
    if isinstance(node, (ast.Name, ast.BinOp, ast.Call, ast.Attribute)) and _is_term(place):
        yield ast.UnaryOp(ast.USub(), node), 1, "sign"


def _is_measured(parent):
    """Is it the size of the node that is asked for, not its values?"""
    return isinstance(parent, ast.Attribute) and parent.attr in ("shape", "ndim", "size", "dtype") or (
        isinstance(parent, ast.Call) and ast.unparse(parent.func) in ("len", "np.zeros_like", "np.empty_like",
                                                                      "np.ones_like"))


def _is_term(place):
    """Is the node the right side of an assignment, returned, or a part of a sum?"""
    parent, field, _ = place
    return (isinstance(parent, (ast.Assign, ast.AugAssign, ast.Return)) and field == "value"
            or isinstance(parent, ast.Tuple)
            or isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Add, ast.Sub)))


def _of_operation(node):
    left, right = node.left, node.right
    if isinstance(node.op, ast.MatMult):
        yield ast.BinOp(right, node.op, left), 1, "matmul order"
        for one, two in ((False, True), (True, False), (True, True)):
            turned = [_expression(f"({ast.unparse(part)}).swapaxes(-1, -2)") if turn else part
                      for part, turn in ((right, one), (left, two))]
            yield ast.BinOp(turned[0], node.op, turned[1]), 1, "matmul order"
        return
    is_one = any(isinstance(part, ast.Constant) and part.value == 1 for part in (left, right))
    for operator in ARITHMETIC:
        leaves_as_it_is = is_one and operator in (ast.Mult, ast.Div)    # n * 1 for n - 1: then 1 is too much
        if isinstance(node.op, ARITHMETIC) and not isinstance(node.op, operator) and not leaves_as_it_is:
            yield ast.BinOp(left, operator(), right), 1, "operator"
    if isinstance(node.op, (ast.Sub, ast.Div)):
        yield ast.BinOp(right, node.op, left), 1, "operator"
    if isinstance(node.op, ast.Pow):
        yield ast.BinOp(left, node.op, _expression("1")), 1, "power"
        for exponent in ("2", "3", "0.5", "-0.5", "-1", "-1.5", "-2"):
            yield ast.BinOp(left, node.op, _expression(exponent)), 1, "power"
    yield left, 2, "too much"
    yield right, 2, "too much"


def _of_call(node):
    if isinstance(node.func, ast.Attribute):
        attribute, arguments = node.func.attr, node.args
        if attribute in ("swapaxes", "transpose"):
            yield node.func.value, 1, "transpose"
        if attribute == "transpose" and len(arguments) == 4:
            for order in itertools.permutations(range(4)):
                yield _with_arguments(node, [ast.Constant(index) for index in order]), 1, "transpose"
        if attribute == "reshape":
            for axes in ("1, 2", "0, 1", "-1, -2"):
                inner = _expression(f"({ast.unparse(node.func.value)}).swapaxes({axes})")
                yield ast.Call(ast.Attribute(inner, "reshape", ast.Load()), arguments, node.keywords), 1, "transpose"
        if attribute == "where" and len(arguments) == 3:
            yield _with_arguments(node, [arguments[0], arguments[2], arguments[1]]), 1, "order of where"
    for index, argument in enumerate(node.args):
        if isinstance(argument, ast.Name) and len(node.args) == 1:
            yield argument, 2, "too much"


def _with_arguments(node, arguments):
    return ast.Call(node.func, list(arguments), node.keywords)


def _order_edits(statement):
    """Two of the returned gradients are exchanged, or two of the names that a tuple is unpacked into."""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
        names = statement.targets[0].elts
        for first, second in itertools.combinations(range(len(names)), 2):
            order = list(names)
            order[first], order[second] = order[second], order[first]
            new = ast.Tuple(order, ast.Store())
            yield from _try(statement, (statement, "targets", 0), new, 0, "order of the names",
                            ast.unparse(statement.targets[0]))
    if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Tuple):
        elements = statement.value.elts
        for first, second in itertools.combinations(range(len(elements)), 2):
            order = list(elements)
            order[first], order[second] = order[second], order[first]
            yield from _try(statement, (statement, "value", None), ast.Tuple(order, ast.Load()), 0,
                            "order of the results", ast.unparse(statement.value))


def _assignment_edits(statement, in_loop):
    """`a[i] = v` and `a[i] += v` keep one value of an index that repeats; `=` where values should pile up."""
    call = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr) and isinstance(call, ast.Call) and ast.unparse(call.func) == "np.put_along_axis":
        new = ast.Expr(ast.Call(_expression(f"{DOCTOR}['np.add.at along an axis']"), call.args, call.keywords))
        yield from _replaced(statement, new, 1, "repeated index", ast.unparse(statement))
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    if not isinstance(statement, (ast.Assign, ast.AugAssign)) or target is None:
        return
    before = ast.unparse(statement)
    index = list(ast.walk(target.slice)) if isinstance(target, ast.Subscript) else []
    if any(isinstance(node, ast.Name) for node in index) and not any(isinstance(node, ast.Slice) for node in index):
        call = _expression(f"np.add.at({ast.unparse(target.value)}, {ast.unparse(target.slice)}, "
                           f"{ast.unparse(statement.value)})")
        yield from _replaced(statement, ast.Expr(call), 1, "repeated index", before)
    if isinstance(statement, ast.Assign) and isinstance(target, ast.Name) and in_loop:
        sum_so_far = ast.BinOp(_expression(f"locals().get({target.id!r}, 0)"), ast.Add(), statement.value)
        yield from _replaced(statement, ast.Assign([target], sum_so_far), 1, "overwritten", before, target.id)
    if isinstance(statement, ast.Assign) and not isinstance(target, ast.Tuple):
        yield from _replaced(statement, ast.AugAssign(target, ast.Add(), statement.value), 1, "accumulate", before)
    elif isinstance(statement, ast.AugAssign):
        loaded = copy.deepcopy(target)
        loaded.ctx = ast.Load()
        yield from _replaced(statement, ast.Assign([target], statement.value), 1, "accumulate", before)
        yield from _replaced(statement, ast.Pass(), 2, "too much", before)
        for operator in ARITHMETIC:
            if not isinstance(statement.op, operator):
                new = ast.AugAssign(target, operator(), statement.value)
                yield from _replaced(statement, new, 1, "operator", before)


def _replaced(statement, new, rank, kind, before, detail=""):
    """Yield one Edit of a whole statement: its node takes on the class and the fields of another."""
    old_class, old_fields = statement.__class__, dict(vars(statement))
    ast.fix_missing_locations(ast.copy_location(new, statement))
    try:
        statement.__class__ = new.__class__
        vars(statement).clear()
        vars(statement).update(vars(new))
        yield Edit(rank, kind, old_fields["lineno"], detail or before, before, ast.unparse(statement))
    finally:
        statement.__class__ = old_class
        vars(statement).clear()
        vars(statement).update(old_fields)


# Another name, one more factor, one more term

def _known_at(statement, names):
    return [name for name, line in names.items() if line < statement.lineno]


def _name_edits(statement, names):
    """Another variable in the place of one, once or all over the statement."""
    yield from _name_everywhere(statement, names)
    for place, node in list(_places(statement)):
        if isinstance(node, ast.Name) and node.id in names:
            for name in _known_at(statement, names):
                if name != node.id:
                    yield from _try(statement, place, ast.Name(name, ast.Load()), 2, "name", node.id)


def _array_edits(statement, names, arrays, factors):
    """A value of the forward pass in the place of a variable; another number in the place of a size."""
    read = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    for old in dict.fromkeys(node.id for node in read if node.id in names):
        for array in arrays:
            swap = _Rename(old, _expression(f"{DOCTOR}[{array!r}]"))
            new = swap.visit(copy.deepcopy(statement))
            yield from _replaced(statement, new, 3, "name", ast.unparse(statement), old)
    for place, node in list(_places(statement)):
        is_size = isinstance(node, ast.Attribute) and node.attr == "size" or (
            isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant))
        for name in _known_at(statement, names) if is_size else ():
            yield from _try(statement, place, ast.Name(name, ast.Load()), 2, "number", ast.unparse(node))
        for factor in factors if is_size else ():
            yield from _try(statement, place, _expression(f"{DOCTOR}[{factor!r}]"), 3, "number", ast.unparse(node))


class _Rename(ast.NodeTransformer):
    """Puts an expression in the place of every use of a name."""

    def __init__(self, name, expression):
        self.name, self.expression = name, expression

    def visit_Name(self, node):
        return copy.deepcopy(self.expression) if node.id == self.name and isinstance(node.ctx, ast.Load) else node


def _name_everywhere(statement, names):
    before = ast.unparse(statement)
    read = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    for old in dict.fromkeys(node.id for node in read if node.id in names):
        nodes = [node for node in read if node.id == old]
        for new in _known_at(statement, names) if len(nodes) > 1 else ():
            if new != old:
                with contextlib.ExitStack() as stack:
                    for node in nodes:
                        stack.enter_context(_set(node, "id", None, new))
                    yield Edit(2, "name", statement.lineno, old, before, ast.unparse(statement))


def _terms_of(statement):
    """Places that a factor or a term can be added to: right sides, results, parts of sums."""
    return [(place, node) for place, node in _places(statement)
            if _is_term(place) and not isinstance(node, (ast.Tuple, ast.Constant))]


def _factors_of(statement):
    """Variables that are multiplied with something."""
    return [(place, node) for place, node in _places(statement)
            if isinstance(node, ast.Name) and isinstance(place[0], ast.BinOp) and isinstance(place[0].op, ast.Mult)]


def _arguments_of(statement):
    """The first arguments of calls, and what a sum or a mean is taken of."""
    found = []
    for place, node in _places(statement):
        parent, field, index = place
        is_value = not isinstance(node, (ast.Constant, ast.Tuple))
        if isinstance(parent, ast.Call) and field == "args" and index == 0 and is_value:
            found.append((place, node))
        if isinstance(parent, ast.Attribute) and parent.attr in ("sum", "mean"):
            found.append((place, node))
    return found


def _sums_of(statement, names):
    """A mean in the place of a sum, or the reverse, and one more factor in it."""
    for place, node in _places(statement):
        method = getattr(node, "func", None)
        if not (isinstance(node, ast.Call) and isinstance(method, ast.Attribute) and method.attr in ("sum", "mean")):
            continue
        is_numpy = isinstance(method.value, ast.Name) and method.value.id == "np" and node.args
        for name in _known_at(statement, names):
            summed = ast.BinOp(node.args[0] if is_numpy else method.value, ast.Mult(), ast.Name(name, ast.Load()))
            called = ast.Attribute(method.value if is_numpy else summed, SWAPPED_CALLS[method.attr], ast.Load())
            new = ast.Call(called, [summed, *node.args[1:]] if is_numpy else node.args, node.keywords)
            yield from _try(statement, place, new, 3, "summed", ast.unparse(node))


def _factor_edits(statement, names, factors):
    yield from _sums_of(statement, names)
    for place, node in _terms_of(statement):
        new = ast.BinOp(node, ast.Mult(), _expression(LOOKED_UP))
        yield from _try(statement, place, new, 3, "constant", ast.unparse(node))
    for place, node in [*_terms_of(statement), *_arguments_of(statement)]:
        for name in _known_at(statement, names):
            for operator, text in ((ast.Mult, "{}"), (ast.Div, "{}"), (ast.Mult, "{}[..., None]"),
                                   (ast.Div, "{}[..., None]"), (ast.Mult, "(1 - {})")):
                new = ast.BinOp(node, operator(), _expression(text.format(name)))
                factor = text.format(name).removesuffix("[..., None]")
                yield from _try(statement, place, new, 3, "factor", f"1 / {factor}" if operator is ast.Div else factor)
        for name in [name for name, line in names.items() if line == 0]:
            for axis in ("axis", "-1") if "axis" in names else ("-1", "0"):
                new = ast.BinOp(node, ast.Mult(), _expression(f"{name}.sum({axis}, keepdims=True)"))
                yield from _try(statement, place, new, 3, "factor", f"the sum of {name} along an axis")
        for factor in factors:
            new = ast.BinOp(node, ast.Mult(), _expression(f"{DOCTOR}[{factor!r}]"))
            yield from _try(statement, place, new, 3, "factor", factor)


def _term_edits(statement, names, terms):
    for place, node in [*_terms_of(statement), *_factors_of(statement)]:
        if isinstance(place[0], ast.BinOp) and isinstance(place[0].op, (ast.Add, ast.Sub)):
            continue
        for name in _known_at(statement, names):
            is_itself = isinstance(node, ast.Name) and node.id == name    # a - a is no term
            for operator in () if is_itself else (ast.Add, ast.Sub):
                new = ast.BinOp(node, operator(), ast.Name(name, ast.Load()))
                yield from _try(statement, place, new, 3, "term", name)
        for term in terms if _is_term(place) else ():
            new = ast.BinOp(node, ast.Add(), _expression(f"{DOCTOR}[{term!r}]"))
            yield from _try(statement, place, new, 4, "path", term)


def _value_edits(statement, _, values):
    """The true gradient in the place of what is computed: it tells that all before and all after is right."""
    targets = getattr(statement, "targets", ())
    if len(targets) == 1 and isinstance(targets[0], ast.Name):
        for value in values:
            new = ast.Assign(targets, _expression(f"{DOCTOR}[{value!r}]"))
            yield from _replaced(statement, new, 5, "value", ast.unparse(statement), f"{targets[0].id}|{value}")
