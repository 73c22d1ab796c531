"""Sizes of T5, in the terms of KerasHub's ``T5Backbone``."""

from dataclasses import dataclass, fields, replace

from flannb.errors import UserError

ACTIVATIONS = ("gelu", "relu", "silu")


@dataclass(frozen=True)
class T5Config:
    """The shape of a T5 model, by default of T5 1.1 small: encoder and decoder have ``num_layers`` layers each.

    The names are those of ``keras_hub.models.T5Backbone``, so ``T5Backbone(**asdict(config))`` is the same
    architecture. ``dropout`` is that of states and of attention's weights.

    Raises:
        UserError: a size below 1, a dropout or epsilon outside [0, 1), or an activation that no T5 has.
    """

    vocabulary_size: int = 32_128
    num_layers: int = 8
    num_heads: int = 6
    hidden_dim: int = 512
    intermediate_dim: int = 1024
    key_value_dim: int = 64
    dropout: float = 0.0
    activation: str = "gelu"
    use_gated_activation: bool = True
    layer_norm_epsilon: float = 1e-6
    tie_embedding_weights: bool = False

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.type is int):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"T5Config: {name} is {value!r}; give a whole number of 1 or more")
        for name, example in (("dropout", "0.1"), ("layer_norm_epsilon", "1e-6")):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise UserError(f"T5Config: {name} is {value!r}; give a number from 0 to below 1, such as {example}")
        if self.activation not in ACTIVATIONS:
            raise UserError(f"T5Config: activation {self.activation!r}: choose one of {', '.join(ACTIVATIONS)}")

    def with_vocabulary(self, size: int) -> "T5Config":
        """The same model over another vocabulary."""
        return replace(self, vocabulary_size=size)


def _smoke(hidden: int) -> T5Config:
    return T5Config(
        num_layers=1,
        num_heads=2,
        hidden_dim=hidden,
        intermediate_dim=2 * hidden,
        key_value_dim=hidden // 2,
        activation="relu",
        use_gated_activation=False,
    )


def _micro(hidden: int) -> T5Config:
    return T5Config(num_layers=6, num_heads=hidden // 64, hidden_dim=hidden, intermediate_dim=hidden * 8 // 3)


def _t5_1_0(layers: int, heads: int, hidden: int, intermediate: int, head_dim: int = 64) -> T5Config:
    return T5Config(
        num_layers=layers,
        num_heads=heads,
        hidden_dim=hidden,
        intermediate_dim=intermediate,
        key_value_dim=head_dim,
        activation="relu",
        use_gated_activation=False,
        tie_embedding_weights=True,
    )


# Sizes that train from scratch: ``smoke`` in a minute on one CPU core, ``micro`` in minutes on one GPU, and each at a
# half and a quarter of its width. T5 1.1 as published (github.com/google-research/text-to-text-transfer-transformer,
# t5/models/gin), without a prefix. T5 1.0 as published (arXiv 1910.10683, section 3.7), with the names that its
# checkpoints have.
SIZES: dict[str, T5Config] = {
    "smoke-quarter": _smoke(16),
    "smoke-half": _smoke(32),
    "smoke": _smoke(64),
    "micro-quarter": _micro(192),
    "micro-half": _micro(384),
    "micro": _micro(768),
    "small": T5Config(),
    "base": T5Config(num_layers=12, num_heads=12, hidden_dim=768, intermediate_dim=2048),
    "large": T5Config(num_layers=24, num_heads=16, hidden_dim=1024, intermediate_dim=2816),
    "xl": T5Config(num_layers=24, num_heads=32, hidden_dim=2048, intermediate_dim=5120),
    "xxl": T5Config(num_layers=24, num_heads=64, hidden_dim=4096, intermediate_dim=10_240),
    "t5-small": _t5_1_0(6, 8, 512, 2048),
    "t5-base": _t5_1_0(12, 12, 768, 3072),
    "t5-large": _t5_1_0(24, 16, 1024, 4096),
    "t5-3b": _t5_1_0(24, 32, 1024, 16_384, head_dim=128),
    "t5-11b": _t5_1_0(24, 128, 1024, 65_536, head_dim=128),
}
