"""Infix to postfix: a toy compiler from (12+3)*4 to 12 3 + 4 *, judged by running what it wrote."""

import ast
import operator
import re
from fractions import Fraction

from numpy_impl import checks
from numpy_impl.text.task import Example, Task
from numpy_impl.text.vocabulary import Vocabulary

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
OPERAND = 3  # binds tighter than any operator
AST_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def to_postfix(source):
    """Return the infix text `source` as postfix text, its tokens set apart by blanks.

    Operators of one precedence associate to the left. (Dijkstra 1961, the shunting-yard algorithm.)
    The source must be well-formed; `evaluate_infix` checks that.
    """
    output, waiting = [], []
    for token in re.findall(r"[0-9]+|[-+*/()]", source):
        if token == "(":
            waiting.append(token)
        elif token == ")":
            while waiting[-1] != "(":
                output.append(waiting.pop())
            waiting.pop()
        elif token in PRECEDENCE:
            while waiting and waiting[-1] != "(" and PRECEDENCE[waiting[-1]] >= PRECEDENCE[token]:
                output.append(waiting.pop())
            waiting.append(token)
        else:
            output.append(token)
    return " ".join(output + waiting[::-1])


def evaluate_infix(source):
    """Return the exact value of the infix text `source`, a Fraction. Python's own parser reads it.

    Raises:
        ValueError: `source` is no well-formed expression of whole numbers, + - * / and parentheses, or divides by zero.
    """
    try:
        if not re.fullmatch(r"[-+*/() 0-9]+", source):
            raise SyntaxError
        return _value(ast.parse(source.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"expression is {source!r}, must be whole numbers, + - * / and parentheses") from None
    except ZeroDivisionError:
        raise ValueError(f"expression is {source!r}, must not divide by zero") from None


def _value(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in AST_OPERATORS:
        return AST_OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise SyntaxError


def evaluate_postfix(output):
    """Return the exact value of the postfix text `output`, a Fraction, by a stack machine.

    Raises:
        ValueError: `output` is malformed or divides by zero.
    """
    stack = []
    for token in output.split():
        if re.fullmatch("[0-9]+", token):
            stack.append(Fraction(token))
        elif token not in OPERATORS:
            raise ValueError(f"postfix token is {token!r}, must be a whole number or one of + - * /")
        elif len(stack) < 2:
            raise ValueError(f"{token} needs two operands in {output!r}")
        else:
            right, left = stack.pop(), stack.pop()
            if token == "/" and right == 0:
                raise ValueError(f"{output!r} divides by zero")
            stack.append(OPERATORS[token](left, right))
    if len(stack) != 1:
        raise ValueError(f"postfix must leave one value, but {output!r} leaves {len(stack)}")
    return stack[0]


def check(source, output):
    """Return whether the postfix text `output` has the value of the infix text `source`. Malformed output has not.

    So "2 1 +" is a right answer to "1+2", and so is any other postfix of the same value.

    Raises:
        ValueError: `source` is malformed or divides by zero.
    """
    expected = evaluate_infix(source)
    try:
        return evaluate_postfix(output) == expected
    except ValueError:
        return False


class ArithmeticTask(Task):
    """Turn a random infix expression into postfix.

    Args:
        max_operators: an expression has 1 to so many operators, each count equally often.
        max_number: the numbers are 0 to this one.
        vocabulary: that of a checkpoint; by default digits, operators, parentheses and the blank.

    Raises:
        ValueError, TypeError: an option is below 1, or no int.
    """

    def __init__(self, max_operators=4, max_number=99, vocabulary=None):
        checks.positive_int("max_operators", max_operators)
        checks.positive_int("max_number", max_number)
        self.max_operators = max_operators
        self.max_number = max_number
        digits = (max_operators + 1) * len(str(max_number))
        super().__init__(
            name="arithmetic",
            options={"max_operators": max_operators, "max_number": max_number},
            vocabulary=vocabulary or Vocabulary("0123456789+-*/() ", "the task arithmetic"),
            # Every operator but the outermost may stand in parentheses; in postfix there are 2n blanks.
            max_source_length=digits + max_operators + 2 * (max_operators - 1) + 1,
            max_target_length=digits + max_operators + 2 * max_operators + 1,
        )

    def draw(self, rng):
        """Return a random infix text that does not divide by zero."""
        while True:
            source, _ = self._expression(rng, rng.randint(1, self.max_operators))
            try:
                evaluate_infix(source)
                return source
            except ValueError:
                continue

    def _expression(self, rng, operators):
        """Return a random text with so many operators, and the precedence of the outermost."""
        if operators == 0:
            return str(rng.randint(0, self.max_number)), OPERAND
        symbol = rng.choice("+-*/")
        precedence = PRECEDENCE[symbol]
        in_left = rng.randrange(operators)
        left, left_precedence = self._expression(rng, in_left)
        right, right_precedence = self._expression(rng, operators - 1 - in_left)
        if left_precedence < precedence:
            left = f"({left})"
        # Operators associate to the left, so an equal one at the right needs parentheses: 3-(2-1).
        if right_precedence <= precedence:
            right = f"({right})"
        return left + symbol + right, precedence

    def example(self, subject, rng):
        """Return the infix text `subject` with its postfix."""
        return Example(subject, to_postfix(subject), self.name)

    def normalise(self, text):
        """Return `text` without blanks.

        Raises:
            ValueError: it is no well-formed expression, or divides by zero.
        """
        evaluate_infix(text)
        return "".join(text.split())

    def is_correct(self, source, target, output):
        """Return whether the value of `output` is that of `source`."""
        return check(source, output)
