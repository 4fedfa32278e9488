"""The vocabulary: which symbols a task knows, and the number of each."""

import re


class Vocabulary:
    """A fixed list of symbols, each with its id.

    A symbol is one character ("7", "年") or a mark of several characters such as "<en_us>". Source and target share one
    vocabulary, because the Transformer may tie the weights of both embeddings and of its output layer.

    Ids 0, 1 and 2 are always padding, beginning and end: `Vocabulary.PAD`, `Vocabulary.BOS`, `Vocabulary.EOS`.

    Args:
        symbols: the ordinary symbols, in the order of their ids (3, 4, ...).
        purpose: what the vocabulary is for, in words; error messages say it.

    Raises:
        ValueError: a symbol is empty, repeated, or the name of a special symbol.
        TypeError: a symbol is not a str.
    """

    PAD, BOS, EOS = 0, 1, 2
    SPECIAL = ("<pad>", "<bos>", "<eos>")

    def __init__(self, symbols, purpose):
        self.symbols = self.SPECIAL + tuple(symbols)
        self.purpose = purpose
        for symbol in self.symbols:
            if not isinstance(symbol, str):
                raise TypeError(f"symbol is {symbol!r}, must be a str")
            if not symbol:
                raise ValueError("symbol is empty, must have a character")
        if len(set(self.symbols)) < len(self.symbols):
            repeated = sorted({symbol for symbol in self.symbols if self.symbols.count(symbol) > 1})
            raise ValueError(f"symbols holds {repeated}, must differ from each other and from {self.SPECIAL}")
        ordinary = self.symbols[len(self.SPECIAL):]
        self._ids = {symbol: i for i, symbol in enumerate(ordinary, start=len(self.SPECIAL))}
        # The longest first, so that "<en_us>" is taken whole; "." stands for a single character, known or not.
        marks = sorted((symbol for symbol in ordinary if len(symbol) > 1), key=len, reverse=True)
        self._split = re.compile("|".join([*map(re.escape, marks), "."]), re.DOTALL).findall

    def __len__(self):
        return len(self.symbols)

    def __eq__(self, other):
        return isinstance(other, Vocabulary) and self.symbols == other.symbols

    def __hash__(self):
        return hash(self.symbols)

    def __repr__(self):
        return f"Vocabulary({len(self)} symbols for {self.purpose})"

    def encode(self, text):
        """Return the list of ids of `text`, without beginning or end.

        Raises:
            ValueError: a character that the vocabulary does not know; the message names it, its code and its position.
            TypeError: `text` is not a str.
        """
        if not isinstance(text, str):
            raise TypeError(f"text is a {type(text).__name__}, must be a str")
        try:
            return [self._ids[symbol] for symbol in self._split(text)]
        except KeyError:
            raise ValueError(self._describe_unknown(text)) from None

    def decode(self, ids):
        """Return the text of `ids` up to the first end symbol; padding and beginning are left out.

        Raises:
            ValueError: an id outside of the vocabulary.
        """
        symbols = []
        for i in map(int, ids):
            if not 0 <= i < len(self):
                raise ValueError(f"ids holds {i}, must be at least 0 and below {len(self)}")
            if i == self.EOS:
                break
            if i not in (self.PAD, self.BOS):
                symbols.append(self.symbols[i])
        return "".join(symbols)

    def to_json(self):
        """Return a dict that JSON can hold; `from_json` reads it back. Checkpoints keep it."""
        return {"purpose": self.purpose, "symbols": list(self.symbols[len(self.SPECIAL):])}

    @classmethod
    def from_json(cls, data):
        """Return the vocabulary that `to_json` wrote as the dict `data`.

        Raises:
            ValueError: `data` is not such a dict.
        """
        if not isinstance(data, dict) or not isinstance(data.get("symbols"), list) or "purpose" not in data:
            raise ValueError(f'vocabulary is {str(data):.80}, must be a dict with "purpose" and a list "symbols"')
        return cls(data["symbols"], data["purpose"])

    def _describe_unknown(self, text):
        position = 0
        for symbol in self._split(text):
            if symbol not in self._ids:
                break
            position += len(symbol)
        ordinary = self.symbols[len(self.SPECIAL):]
        marks = " ".join(symbol for symbol in ordinary if len(symbol) > 1)
        characters = "".join(symbol for symbol in ordinary if len(symbol) == 1)
        return (
            f"unknown symbol {symbol!r} (U+{ord(symbol):04X}) at position {position} of {text!r}: "
            f"the vocabulary for {self.purpose} has the characters {characters!r}"
            + (f" and the marks {marks}" if marks else "")
        )
