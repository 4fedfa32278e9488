"""The sizes of a Transformer, for both twins."""

from dataclasses import asdict, dataclass

from numpy_impl import checks


@dataclass(frozen=True)
class TransformerConfig:
    """The sizes and choices of an encoder-decoder Transformer; the defaults are the paper's base model.

    tie_weights: one matrix serves as source embedding, target embedding and output projection (then both vocabularies
    must be one). padding_idx: the id that fills short sequences. max_length: the longest sequence.
    Errors: TypeError or ValueError that names the field.
    Source: Vaswani et al. (2017), "Attention Is All You Need", sec. 3 and table 3.
    """

    source_vocabulary_size: int
    target_vocabulary_size: int
    d_model: int = 512
    num_heads: int = 8
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    d_ff: int = 2048
    dropout: float = 0.1
    activation: str = "relu"
    norm_first: bool = False
    tie_weights: bool = True
    padding_idx: int = 0
    max_length: int = 512

    def __post_init__(self):
        for name in ("source_vocabulary_size", "target_vocabulary_size", "num_encoder_layers", "num_decoder_layers",
                     "d_ff", "max_length"):
            checks.positive_int(name, getattr(self, name))
        checks.heads(self.d_model, self.num_heads, self.num_heads)
        checks.probability("dropout", self.dropout)
        checks.activation_name(self.activation)
        checks.boolean("norm_first", self.norm_first)
        checks.boolean("tie_weights", self.tie_weights)
        checks.integer("padding_idx", self.padding_idx)
        for name in ("source", "target"):
            size = getattr(self, f"{name}_vocabulary_size")
            if not 0 <= self.padding_idx < size:
                raise ValueError(f"padding_idx is {self.padding_idx}, must be an id of the {name} vocabulary, "
                                 f"below {size}")
        if self.tie_weights and self.source_vocabulary_size != self.target_vocabulary_size:
            raise ValueError(f"target_vocabulary_size is {self.target_vocabulary_size}, must be "
                             f"{self.source_vocabulary_size} as source_vocabulary_size, since tie_weights is on")

    @classmethod
    def preset(cls, name, source_vocabulary_size, target_vocabulary_size, **changes):
        """The paper's "base" or "big" model (table 3), for the given vocabularies; `changes` replace single fields."""
        checks.choice("name", name, PRESETS)
        return cls(source_vocabulary_size, target_vocabulary_size, **{**PRESETS[name], **changes})

    def to_json(self):
        """The fields as a dictionary, for a checkpoint; TransformerConfig(**fields) is the way back."""
        return asdict(self)


PRESETS: dict[str, dict] = {
    "base": {},
    "big": {"d_model": 1024, "num_heads": 16, "d_ff": 4096, "dropout": 0.3},
}
