"""T5 as a Keras model over packed sequences."""

import random
from typing import Any

import keras
import numpy as np
from keras import ops

from flannb.model.config import T5Config
from flannb.model.layers import MASKED, T5LayerNorm, T5TransformerLayer, TokenEmbedding


class T5(keras.Model):
    """Encoder-decoder T5 that takes the four inputs of KerasHub's ``T5Backbone`` and returns logits.

    The padding masks may hold segment ids: 0 is padding, and positions attend to positions of the same segment only,
    in all three attentions. A plain 0/1 padding mask is the case of one segment. Relative positions are differences,
    so packed segments need no positions of their own.

    Call arguments (a dictionary of int32 arrays):
        encoder_token_ids, encoder_padding_mask: (batch, source).
        decoder_token_ids, decoder_padding_mask: (batch, target).

    Returns:
        Float32 logits (batch, target, vocabulary_size).
    """

    def __init__(self, config: T5Config, **kwargs: Any):
        super().__init__(**kwargs)
        self.config = config
        policy = {"dtype": self.dtype_policy}
        self.token_embedding = TokenEmbedding(
            config.vocabulary_size,
            config.hidden_dim,
            config.tie_embedding_weights,
            name="token_embedding",
            **policy,
        )

        def stack(name: str, is_decoder: bool) -> list[T5TransformerLayer]:
            return [
                T5TransformerLayer(config, is_decoder, i == 0, name=f"transformer_{name}_layer_{i}", **policy)
                for i in range(config.num_layers)
            ]

        # KerasHub's order, in which Keras lists the weights: they pass between the two models one by one.
        self.encoder_transformer_layers = stack("encoder", is_decoder=False)
        self.encoder_layer_norm = T5LayerNorm(config.layer_norm_epsilon, name="encoder_output_layer_norm", **policy)
        self.decoder_transformer_layers = stack("decoder", is_decoder=True)
        self.decoder_layer_norm = T5LayerNorm(config.layer_norm_epsilon, name="decoder_output_layer_norm", **policy)
        self.dropout_layer = keras.layers.Dropout(config.dropout, **policy)

        self.token_embedding.build()
        shape = (None, None, config.hidden_dim)
        for layer in (*self.encoder_transformer_layers, *self.decoder_transformer_layers):
            layer.build()
        self.encoder_layer_norm.build(shape)
        self.decoder_layer_norm.build(shape)
        self.built = True

    def get_config(self):
        return {"config": dict(vars(self.config)), "dtype": keras.dtype_policies.serialize(self.dtype_policy)}

    def encode(self, ids, segments, training=False):
        """Encoder output (batch, source, hidden_dim) for ids and segment ids (batch, source)."""
        bias = self._self_bias(self.encoder_transformer_layers[0], segments)
        x = self.dropout_layer(self.token_embedding(ids), training=training)
        for layer in self.encoder_transformer_layers:
            x = layer(x, bias, training=training)
        return self.dropout_layer(self.encoder_layer_norm(x), training=training)

    def decode(self, ids, segments, memory, memory_segments, training=False, readers=None):
        """Decoder output (batch, target, hidden_dim); ``memory`` is the encoder's output.

        ``readers``: segment ids (batch, target) for cross-attention, where they are not ``segments``: all options of
        one prompt read the same memory, and not each other.
        """
        length = ops.shape(ids)[1]
        bias = self._self_bias(self.decoder_transformer_layers[0], segments)
        bias = bias + np.where(np.tri(length, dtype=bool), 0.0, MASKED).astype(np.float32)
        memory_bias = mask_bias(segments if readers is None else readers, memory_segments)
        x = self.dropout_layer(self.token_embedding(ids), training=training)
        for layer in self.decoder_transformer_layers:
            x = layer(x, bias, memory, memory_bias, training=training)
        return self.dropout_layer(self.decoder_layer_norm(x), training=training)

    def _self_bias(self, first, segments):
        """Bias of self-attention (batch, heads, length, length): relative positions and mask.

        The positions' part is repeated over the batch by a product with ones, because the gradient is then a product
        too; a plain broadcast has a sum over the batch, which XLA's CPU backend is slow at.
        """
        length = ops.shape(segments)[1]
        bias = ops.reshape(first.self_attention.position_bias(length, length), (1, -1))
        bias = ops.matmul(ops.ones((ops.shape(segments)[0], 1)), bias)
        return ops.reshape(bias, (-1, self.config.num_heads, length, length)) + mask_bias(segments, segments)

    def call(self, inputs, training=False):
        segments = inputs["encoder_padding_mask"]
        memory = self.encode(inputs["encoder_token_ids"], segments, training=training)
        hidden = self.decode(
            inputs["decoder_token_ids"], inputs["decoder_padding_mask"], memory, segments, training=training
        )
        return self.token_embedding.logits(hidden)


def mask_bias(query_segments, key_segments):
    """Float32 bias (batch, 1, query, key): 0 within a segment, ``MASKED`` across segments and on padding keys."""
    same = query_segments[:, :, None] == key_segments[:, None, :]
    allowed = ops.logical_and(same, key_segments[:, None, :] > 0)
    return ops.where(allowed, 0.0, MASKED)[:, None]


def build_model(config: T5Config, seed: int, dtype: str = "float32") -> T5:
    """A T5 with random weights.

    Args:
        config: its shape.
        seed: fixes the initial weights and the dropout.
        dtype: a Keras dtype policy, such as ``float32`` or ``mixed_bfloat16`` (bf16 compute, fp32 weights).
    """
    # Keras seeds its initialisers and dropout from Python's generator. keras.utils.set_random_seed would do, but it
    # imports TensorFlow wherever that is installed.
    before = random.getstate()
    random.seed(seed)
    try:
        return T5(config, dtype=dtype)
    finally:
        random.setstate(before)


def parameters(model: keras.Model) -> int:
    """Number of trainable parameters."""
    return int(sum(np.prod(variable.shape) for variable in model.trainable_variables))
