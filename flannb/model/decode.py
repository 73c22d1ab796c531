"""The decoder one token at a time: keys and values are kept, those of the encoder's output are computed once."""

import jax
import jax.numpy as jnp
import keras

from flannb.model.flash_kernels import MASKED
from flannb.model.layers import T5Attention
from flannb.model.t5 import T5

Cache = list[tuple[jax.Array, jax.Array]]
"""Keys and values of each layer, both (batch, heads, length, head_dim)."""


def bound(model: T5, weights: list[jax.Array]) -> keras.StatelessScope:
    """A scope in which the model computes with these weights, in the order of ``trainable_variables``."""
    return keras.StatelessScope(state_mapping=list(zip(model.trainable_variables, weights, strict=True)))


class Decoder:
    """A T5's decoder over one batch of encoder output, for use inside a traced function.

    Args:
        model: a T5.
        weights: its weights.
        memory: encoder output (batch, source, hidden_dim).
        present: which of its positions are no padding, bool (batch, source).
        length: most tokens that are decoded.
    """

    def __init__(self, model: T5, weights: list[jax.Array], memory: jax.Array, present: jax.Array, length: int):
        self._model, self._weights, self._length = model, weights, length
        self._hidden = jnp.where(present, 0.0, MASKED)[:, None]
        with bound(model, weights):
            layers = model.decoder_transformer_layers
            # Row i is the bias of the token at position i, which sees the positions up to its own.
            bias = layers[0].self_attention.position_bias(length, length)[0]
            self._bias = bias + jnp.where(jnp.tri(length, dtype=bool), 0.0, MASKED)
            self._memories = [layer.cross_attention.keys_values(memory) for layer in layers]

    def start(self) -> Cache:
        """The cache before the first token."""
        empty = [jnp.zeros((*k.shape[:2], self._length, k.shape[3]), k.dtype) for k, _ in self._memories]
        return [(one, one) for one in empty]

    def step(self, token: jax.Array, position: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """Reads the tokens (batch,) at a position.

        Returns:
            Float32 logits (batch, vocabulary_size) of the next tokens, and the cache with these in it.
        """
        # Bound anew inside the loop's body, where the compiler sees that widening and narrowing a weight cancel out.
        with bound(self._model, self._weights):
            seen = jax.lax.dynamic_index_in_dim(self._bias, position, axis=1, keepdims=False)
            x = self._model.token_embedding(token[:, None])
            updated: Cache = []
            for layer, (keys, values), memory in zip(
                self._model.decoder_transformer_layers, cache, self._memories, strict=True
            ):
                own = layer.self_attention
                inner = layer.self_attention_layer_norm(x)
                at = (0, 0, position, 0)
                new_keys, new_values = own.keys_values(inner)
                keys = jax.lax.dynamic_update_slice(keys, new_keys, at)
                values = jax.lax.dynamic_update_slice(values, new_values, at)
                updated.append((keys, values))
                x = x + _attention(own, inner, keys, values, seen)
                inner = layer.cross_attention_layer_norm(x)
                x = x + _attention(layer.cross_attention, inner, *memory, self._hidden)
                x = layer.feed_forward(x)
            return self._model.token_embedding.logits(self._model.decoder_layer_norm(x))[:, 0], updated


def _attention(attention: T5Attention, x: jax.Array, keys: jax.Array, values: jax.Array, bias: jax.Array) -> jax.Array:
    """Attention from states (batch, 1, hidden_dim) to keys and values (batch, heads, length, head_dim)."""
    way = attend_by_sums if jax.default_backend() == "gpu" else attend_by_products
    context = way(attention.queries(x)[:, :, 0], keys, values, bias)
    return attention.output_projector(context.reshape(*x.shape[:2], -1))


def attend_by_products(query: jax.Array, keys: jax.Array, values: jax.Array, bias: jax.Array) -> jax.Array:
    """Attention of one query a row, as matrix products.

    Args:
        query: (batch, heads, head_dim).
        keys, values: (batch, heads, length, head_dim).
        bias: float32, broadcasts to (batch, heads, length).

    Returns:
        (batch, heads, head_dim), of the type of the values.
    """
    scores = jnp.einsum("bhd,bhld->bhl", query, keys, preferred_element_type="float32") + bias
    weights = jax.nn.softmax(scores, axis=-1).astype(values.dtype)
    return jnp.einsum("bhl,bhld->bhd", weights, values)


def attend_by_sums(query: jax.Array, keys: jax.Array, values: jax.Array, bias: jax.Array) -> jax.Array:
    """The same as sums of elementwise products, in float32.

    A product of a vector and a matrix takes as long as reading the matrix. On a GPU, XLA makes each of these sums one
    loop that reads it once, where a library's product may first rearrange it or leave most of its tile empty.
    """
    scores = jnp.sum(query[:, :, None].astype("float32") * keys.astype("float32"), axis=-1) + bias
    weights = jax.nn.softmax(scores, axis=-1)
    return jnp.sum(weights[..., None] * values.astype("float32"), axis=2).astype(values.dtype)
