"""Sizes of T5, in the terms of KerasHub's ``T5Backbone``."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class T5Config:
    """The shape of a T5 1.1 model: encoder and decoder have ``num_layers`` layers each.

    The names are those of ``keras_hub.models.T5Backbone``, so ``T5Backbone(**asdict(config))`` is the same
    architecture.
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

    def with_vocabulary(self, size: int) -> "T5Config":
        """The same model over another vocabulary."""
        return replace(self, vocabulary_size=size)


# T5 1.1 as published (github.com/google-research/text-to-text-transfer-transformer, t5/models/gin), and two sizes that
# train from scratch: ``smoke`` in a minute on one CPU core, ``micro`` in minutes on one GPU.
SIZES: dict[str, T5Config] = {
    "smoke": T5Config(
        num_layers=1,
        num_heads=2,
        hidden_dim=64,
        intermediate_dim=128,
        key_value_dim=32,
        activation="relu",
        use_gated_activation=False,
    ),
    "micro": T5Config(num_layers=6, num_heads=8, hidden_dim=512, intermediate_dim=1024, key_value_dim=64),
    "small": T5Config(),
    "base": T5Config(num_layers=12, num_heads=12, hidden_dim=768, intermediate_dim=2048),
    "large": T5Config(num_layers=24, num_heads=16, hidden_dim=1024, intermediate_dim=2816),
    "xl": T5Config(num_layers=24, num_heads=32, hidden_dim=2048, intermediate_dim=5120),
    "xxl": T5Config(num_layers=24, num_heads=64, hidden_dim=4096, intermediate_dim=10_240),
}
