"""The layers of T5 (Raffel et al. 2020, arXiv 1910.10683), in Keras 3.

Layer, attribute and variable names follow KerasHub's T5, so that weights pass between the two. What differs: how
attention is computed is an argument; keys and values are computed apart from it, so that generation keeps them; the
relative bias is made without a gather, whose gradient would be a contended scatter; dropout keeps no state, so that a
layer can be computed again in the backward pass.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import ops

from flannb.model.config import T5Config
from flannb.model.dropout import dropout, seed_of
from flannb.model.embedding import embed
from flannb.model.loss import head_logits

BUCKETS = 32
MAX_DISTANCE = 128

Attend = Callable[..., jax.Array]
"""``flannb.model.attention.attend`` with its way, bias and mask."""


class TokenEmbedding(keras.layers.Layer):
    """Token embeddings of encoder and decoder, and the output projection, tied to them or not."""

    def __init__(self, vocabulary_size: int, hidden_dim: int, tie_weights: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.tie_weights = tie_weights

    def build(self, input_shape: Any = None) -> None:
        """Draws float32 embeddings (vocabulary_size, hidden_dim), and the head of an untied model."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.vocabulary_size, self.hidden_dim),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings",
                shape=(self.hidden_dim, self.vocabulary_size),
                initializer=keras.initializers.RandomNormal(stddev=self.hidden_dim**-0.5),
            )

    def call(self, ids: jax.Array) -> jax.Array:
        """Embeddings (batch, length, hidden_dim) of token ids (batch, length)."""
        return embed(self.embeddings.value, ids, self.compute_dtype)

    def head(self, hidden: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the logits are the product of: hidden states (..., hidden_dim), and float32 (hidden_dim, vocabulary)."""
        if self.tie_weights:  # T5 1.0 rescales before its tied head
            return hidden * ops.cast(self.hidden_dim**-0.5, hidden.dtype), ops.transpose(self.embeddings.value)
        return hidden, self.reverse_embeddings.value

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Float32 logits (..., vocabulary_size) of hidden states (..., hidden_dim)."""
        return head_logits(*self.head(hidden))


class T5LayerNorm(keras.layers.Layer):
    """Root-mean-square normalisation without mean or bias, computed in float32."""

    def __init__(self, epsilon: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the scale, ones, of the size of the last axis."""
        self.weight = self.add_weight(name="weight", shape=(input_shape[-1],), initializer="ones")

    def call(self, x: jax.Array) -> jax.Array:
        """States of any shape, normalised over the last axis, in their own type."""
        full = ops.cast(x, "float32")
        full = full * ops.rsqrt(ops.mean(ops.square(full), axis=-1, keepdims=True) + self.epsilon)
        return ops.cast(full, x.dtype) * ops.cast(self.weight, x.dtype)


def relative_position_bucket(distance: np.ndarray, bidirectional: bool) -> np.ndarray:
    """Buckets of T5's relative positions.

    Half of the buckets (of each direction) hold one distance each, the others grow logarithmically up to
    ``MAX_DISTANCE``, beyond which all distances share the last. Lengths are known when a model is traced, so this is
    NumPy and costs nothing at run time.

    Args:
        distance: int array, key position minus query position.
        bidirectional: whether keys after the query have buckets of their own (encoder) or none (decoder).

    Returns:
        Int array of the same shape, with values in [0, BUCKETS).
    """
    buckets = BUCKETS // 2 if bidirectional else BUCKETS
    offset = np.where(distance > 0, buckets, 0) if bidirectional else 0
    distance = np.abs(distance) if bidirectional else np.maximum(-distance, 0)
    exact = buckets // 2
    # float32, as in the published models: a logarithm that falls on a border must fall on the same side of it
    logarithm = np.log(np.maximum(distance, 1).astype(np.float32) / exact) / math.log(MAX_DISTANCE / exact)
    far = exact + (logarithm * (buckets - exact)).astype(np.int32)
    return offset + np.where(distance < exact, distance, np.minimum(far, buckets - 1))


class T5Attention(keras.layers.Layer):
    """Multi-head attention without scaling by the square root of the head size."""

    def __init__(self, config: T5Config, bidirectional: bool, relative_bias: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads, self.head_dim = config.num_heads, config.key_value_dim
        self.bidirectional, self.relative_bias = bidirectional, relative_bias
        inner = self.heads * self.head_dim

        def projector(name: str, units: int, stddev: float) -> keras.layers.Dense:
            initializer = keras.initializers.RandomNormal(stddev=stddev)
            return keras.layers.Dense(
                units, use_bias=False, kernel_initializer=initializer, dtype=self.dtype_policy, name=name
            )

        # T5 folds the scale of attention into the initial query weights.
        self.query_projector = projector("query_projector", inner, (config.hidden_dim * self.head_dim) ** -0.5)
        self.key_projector = projector("key_projector", inner, config.hidden_dim**-0.5)
        self.value_projector = projector("value_projector", inner, config.hidden_dim**-0.5)
        self.output_projector = projector("output_projector", config.hidden_dim, inner**-0.5)
        self.rate = config.dropout
        self.hidden_dim = config.hidden_dim

    def build(self, input_shape: Any = None) -> None:
        """Draws the projections, and with a relative bias its table (BUCKETS, heads)."""
        shape = (None, None, self.hidden_dim)
        if self.relative_bias:
            self.embeddings = self.add_weight(
                name="embeddings",
                shape=(BUCKETS, self.heads),
                initializer=keras.initializers.RandomNormal(stddev=self.hidden_dim**-0.5),
            )
        for layer in (self.query_projector, self.key_projector, self.value_projector):
            layer.build(shape)
        self.output_projector.build((None, None, self.heads * self.head_dim))

    def position_bias(self, queries: int, keys: int) -> Any:
        """Float32 bias (1, heads, query, key) of the first ``queries`` and ``keys`` positions.

        It is the same along its diagonals. So the values of all distances are made first, by a product with one-hot
        vectors, and repeated for each query; in rows that are shorter by one, they then stand shifted by one from query
        to query.
        """
        distance = np.arange(keys + queries)
        # Counted round: 0 ... keys - 1, then what precedes the queries.
        distance = np.where(distance < keys, distance, distance - keys - queries)
        one_hot = np.eye(BUCKETS, dtype=np.float32)[relative_position_bucket(distance, self.bidirectional)]
        values = jnp.matmul(self.embeddings.value.astype(jnp.float32).T, one_hot.T, precision="highest")
        rows = jnp.broadcast_to(values[:, None], (self.heads, queries, keys + queries)).reshape(self.heads, -1)
        rows = rows[:, : queries * (keys + queries - 1)].reshape(self.heads, queries, keys + queries - 1)
        return rows[None, :, :, :keys]

    def _split(self, x: jax.Array) -> jax.Array:
        """States (batch, length, heads * head_dim) as (batch, heads, length, head_dim)."""
        return ops.transpose(ops.reshape(x, (*ops.shape(x)[:-1], self.heads, self.head_dim)), (0, 2, 1, 3))

    def queries(self, x: jax.Array) -> jax.Array:
        """Queries (batch, heads, query, head_dim) of states (batch, query, hidden_dim)."""
        return self._split(self.query_projector(x))

    def keys_values(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Keys and values, each (batch, heads, key, head_dim), of states (batch, key, hidden_dim)."""
        return self._split(self.key_projector(x)), self._split(self.value_projector(x))

    def call(
        self, x: jax.Array, keys: jax.Array, values: jax.Array, attend: Attend, seed: jax.Array | None = None
    ) -> jax.Array:
        """Attends from ``x`` (batch, query, hidden_dim).

        Args:
            keys, values: as ``keys_values`` returns them.
            attend: computes attention.
            seed: uint32, of the dropout of the weights; None drops nothing.

        Returns:
            States (batch, query, hidden_dim).
        """
        context = attend(self.queries(x), keys, values, rate=self.rate, seed=seed)
        context = ops.transpose(context, (0, 2, 1, 3))
        return self.output_projector(ops.reshape(context, (*ops.shape(x)[:-1], self.heads * self.head_dim)))


class T5TransformerLayer(keras.layers.Layer):
    """Self-attention, cross-attention in the decoder, and a feed-forward block, each with normalised input and a
    residual.
    """

    def __init__(self, config: T5Config, is_decoder: bool, relative_bias: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.is_decoder = is_decoder
        options = {"dtype": self.dtype_policy}
        self.self_attention = T5Attention(config, not is_decoder, relative_bias, name="self_attention", **options)
        self.self_attention_layer_norm = T5LayerNorm(
            config.layer_norm_epsilon, name="self_attention_layer_norm", **options
        )
        if is_decoder:
            self.cross_attention = T5Attention(config, True, False, name="cross_attention", **options)
            self.cross_attention_layer_norm = T5LayerNorm(
                config.layer_norm_epsilon, name="cross_attention_layer_norm", **options
            )

        def dense(name: str, units: int, inputs: int, activation: str | None = None) -> keras.layers.Dense:
            initializer = keras.initializers.RandomNormal(stddev=inputs**-0.5)
            return keras.layers.Dense(
                units,
                use_bias=False,
                # Keras's own default for "gelu" is the exact one; T5 1.1 uses the tanh approximation.
                activation=_gelu if activation == "gelu" else activation,
                kernel_initializer=initializer,
                name=name,
                **options,
            )

        self.hidden_dim, self.intermediate_dim = config.hidden_dim, config.intermediate_dim
        self.input_projector = dense("input_projector", self.intermediate_dim, self.hidden_dim, config.activation)
        self.gate_projector = (
            dense("gate_projector", self.intermediate_dim, self.hidden_dim) if config.use_gated_activation else None
        )
        self.output_projector = dense("output_projector", self.hidden_dim, self.intermediate_dim)
        self.layer_norm = T5LayerNorm(config.layer_norm_epsilon, name="layer_norm", **options)
        self.rate = config.dropout

    def build(self, input_shape: Any = None) -> None:
        """Draws the weights in the order in which Keras lists them."""
        shape = (None, None, self.hidden_dim)
        self.self_attention.build()
        self.self_attention_layer_norm.build(shape)
        if self.is_decoder:
            self.cross_attention.build()
            self.cross_attention_layer_norm.build(shape)
        self.input_projector.build(shape)
        if self.gate_projector is not None:
            self.gate_projector.build(shape)
        self.output_projector.build((None, None, self.intermediate_dim))
        self.layer_norm.build(shape)

    def feed_forward(self, x: jax.Array, seed: jax.Array | None = None) -> jax.Array:
        """The feed-forward block with its residual; shapes (batch, length, hidden_dim)."""
        inner = self.layer_norm(x)
        hidden = self.input_projector(inner)
        if self.gate_projector is not None:
            hidden = hidden * self.gate_projector(inner)
        return x + self._drop(self.output_projector(self._drop(hidden, seed, 0)), seed, 1)

    def call(
        self,
        x: jax.Array,
        attend: Attend,
        memory: jax.Array | None = None,
        attend_memory: Attend | None = None,
        seed: jax.Array | None = None,
    ) -> jax.Array:
        """One layer over whole sequences.

        Args:
            x: states (batch, length, hidden_dim).
            attend: see ``T5Attention.call``.
            memory: encoder output (batch, source, hidden_dim), in the decoder.
            attend_memory: the same for cross-attention.
            seed: uint32, of all dropout; None drops nothing.

        Returns:
            States (batch, length, hidden_dim).
        """
        inner = self.self_attention_layer_norm(x)
        inner = self.self_attention(
            inner, *self.self_attention.keys_values(inner), attend=attend, seed=seed_of(seed, 2)
        )
        x = x + self._drop(inner, seed, 3)
        if memory is not None:
            inner = self.cross_attention_layer_norm(x)
            keys_values = self.cross_attention.keys_values(memory)
            inner = self.cross_attention(inner, *keys_values, attend=attend_memory, seed=seed_of(seed, 4))
            x = x + self._drop(inner, seed, 5)
        return self.feed_forward(x, seed)

    def _drop(self, x: jax.Array, seed: jax.Array | None, place: int) -> jax.Array:
        return dropout(x, self.rate, seed_of(seed, place))


def _gelu(x: jax.Array) -> jax.Array:
    return keras.activations.gelu(x, approximate=True)
