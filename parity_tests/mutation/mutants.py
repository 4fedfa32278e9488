"""How a source is mutated: by plausible slips in arithmetic, not by every change that is possible.

Left out, because they are no arithmetic or because another test holds them:
- bit shifts, and operators that nobody would confuse (`+` for `%`);
- decorators and signatures with their defaults: test_mirror.py compares those of both twins;
- what does not compile, such as `/` for the stars of `{**options}`.
"""

import dataclasses
import warnings

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.binary_operator_replacement import operators as binary_operators
from cosmic_ray.operators.boolean_replacer import (
    AddNot, ReplaceAndWithOr, ReplaceFalseWithTrue, ReplaceOrWithAnd, ReplaceTrueWithFalse)
from cosmic_ray.operators.comparison_operator_replacement import operators as comparison_operators
from cosmic_ray.operators.number_replacer import NumberReplacer
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.unary_operator_replacement import operators as unary_operators

from parity_tests.mutation.sources import Outline, tidy

_PLAUSIBLE = (
    # binary: for the inverse, and for one of the other kind
    "Add_Sub", "Add_Mul", "Sub_Add", "Sub_Mul", "Mul_Div", "Mul_Add", "Div_Mul", "Div_Sub", "Pow_Mul", "Pow_Div",
    "FloorDiv_Mul", "FloorDiv_Mod", "Mod_FloorDiv", "Mod_Mul", "BitAnd_BitOr", "BitOr_BitAnd",
    # unary: left out
    "Delete_USub", "Delete_Invert", "Delete_Not",
    # comparisons: off by one, and turned round
    "Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_Gt", "LtE_Lt", "LtE_GtE", "Gt_GtE", "Gt_Lt", "GtE_Gt", "GtE_LtE",
    "Is_IsNot", "IsNot_Is")


class _ReplaceOperatorText(Operator):
    """Operators that cosmic-ray leaves alone: `replacements` is {text: texts in its place}."""

    replacements: dict

    def mutation_positions(self, node):
        if node.type == "operator":
            for _ in self.replacements.get(node.value, ()):
                yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.value = self.replacements[node.value][index]
        return node

    @classmethod
    def examples(cls):
        """cosmic-ray tests its own operators by these; here test_mutation.py does."""
        return ()


class ReplaceAugmentedAssignment(_ReplaceOperatorText):
    """A gradient is overwritten, or taken off, where it must be added."""

    replacements = {"+=": ("=", "-="), "-=": ("=", "+="), "*=": ("=", "/="), "/=": ("=", "*=")}


class ReplaceMatrixProduct(_ReplaceOperatorText):
    """A matrix product becomes an elementwise one."""

    replacements = {"@": ("*",)}


class ReplaceNumber(NumberReplacer):
    """A number becomes one more, or one less, and the line keeps its spaces."""

    def mutate(self, node, index):
        number = super().mutate(node, index)
        number.value, number.prefix = number.value.strip(), node.prefix
        return number


class NegateCondition(AddNot):
    """`if x` becomes `if not x`, unless x is a comparison or a `not`: those have operators of their own."""

    def mutation_positions(self, node):
        for position in super().mutation_positions(node):
            condition = node.children[2 if node.type == "test" else 1]
            if condition.type not in ("comparison", "not_test"):
                yield position


def _all_operators():
    """{name: operator}."""
    built_in = (*binary_operators(), *comparison_operators(), *unary_operators())
    plausible = [kind for kind in built_in if kind.__name__.partition("_")[2] in _PLAUSIBLE]
    others = (ReplaceAndWithOr, ReplaceOrWithAnd, ReplaceTrueWithFalse, ReplaceFalseWithTrue, ReplaceNumber,
              ReplaceAugmentedAssignment, ReplaceMatrixProduct, NegateCondition)
    return {kind.__name__: kind() for kind in (*plausible, *others)}


OPERATORS = _all_operators()


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one place.

    operator, occurrence: how cosmic-ray finds the place. row: of the line, from 1. function: the qualified name of
    the function or class, "" outside of them. line, becomes: the line as it stands and as it is mutated, see `tidy`.
    """

    operator: str
    occurrence: int
    row: int
    function: str
    line: str
    becomes: str

    @property
    def name(self):
        """What the session calls it; it means something for this very source only."""
        return f"{self.operator} {self.occurrence}"

    @property
    def place(self):
        """What survivors.toml calls it; it outlives changes elsewhere in the source."""
        return self.function, self.line, self.becomes


def mutants_of(source):
    """Every Mutant of a source text, in the order of its lines."""
    tree, outline, found = get_ast(source), Outline(source), []
    for name, operator in OPERATORS.items():
        starts = [start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        for occurrence, start in enumerate(starts):
            if not outline.is_in_header(start):
                code = mutate_code(source, operator, occurrence)
                if _compiles(code):
                    found.append(_describe(source, code, name, occurrence, outline))
    return sorted(found, key=lambda mutant: mutant.row)


def _describe(source, code, operator, occurrence, outline):
    """The Mutant that turns `source` into `code`: one line differs."""
    lines = zip(source.splitlines(), code.splitlines(), strict=True)
    (row, line, becomes), = [(row, line, other) for row, (line, other) in enumerate(lines, 1) if line != other]
    return Mutant(operator, occurrence, row, outline.place_of(row), tidy(line), tidy(becomes))


def _compiles(code):
    """Whether Python takes it; a warning, such as the one for `0 is 1`, does not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(code, "<mutant>", "exec")
        except SyntaxError:
            return False
    return True
