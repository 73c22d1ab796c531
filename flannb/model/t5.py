"""T5 as a Keras model over packed sequences."""

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import keras
import numpy as np

from flannb.errors import UserError
from flannb.model.attention import Mask, attend, choose
from flannb.model.config import T5Config
from flannb.model.dropout import dropout, fold, seed_of
from flannb.model.flash import SAVED
from flannb.model.layers import T5LayerNorm, T5TransformerLayer, TokenEmbedding
from flannb.model.loss import head_loss
from flannb.names import check_name

REMATERIALISATIONS = {
    "none": None,
    "dots": jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
        jax.checkpoint_policies.save_only_these_names(SAVED),
    ),
    "full": jax.checkpoint_policies.nothing_saveable,
}
"""What the backward pass finds of a layer: all; the results of its projections and fused attention; its input."""

Inputs = Mapping[str, jax.Array]
"""The arrays of a call, by their names."""


class T5(keras.Model):
    """Encoder-decoder T5 that takes the four inputs of KerasHub's ``T5Backbone`` and returns logits.

    The padding masks may hold segment ids: 0 is padding, and positions attend to positions of the same segment only,
    in all three attentions. A plain 0/1 padding mask is the case of one segment. Relative positions are differences,
    so packed segments need no positions of their own.

    Attributes:
        config: its shape.
        attention: one of ``flannb.model.attention.ATTENTIONS``.
        remat: a key of ``REMATERIALISATIONS``: how much of each layer is computed again in the backward pass, so as not
            to be kept.

    Call arguments (a dictionary of int32 arrays):
        encoder_token_ids, encoder_padding_mask: (batch, source).
        decoder_token_ids, decoder_padding_mask: (batch, target).

    Returns:
        Float32 logits (batch, target, vocabulary_size).
    """

    def __init__(self, config: T5Config, attention: str = "auto", remat: str = "none", **kwargs: Any):
        super().__init__(**kwargs)
        check_name("rematerialisation", remat, REMATERIALISATIONS)
        self.config, self.attention, self.remat = config, attention, remat
        self.way(training=False)  # what cannot run is said at once
        self.seeds = keras.random.SeedGenerator(name="dropout")
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

        self.token_embedding.build()
        shape = (None, None, config.hidden_dim)
        for layer in (*self.encoder_transformer_layers, *self.decoder_transformer_layers):
            layer.build()
        self.encoder_layer_norm.build(shape)
        self.decoder_layer_norm.build(shape)
        self.built = True

    def way(self, training: bool) -> str:
        """The attention that runs in the encoder and over whole targets: ``plain``, ``flash`` or ``cudnn``."""
        config = self.config
        return choose(self.attention, self.compute_dtype, config.key_value_dim, training and config.dropout > 0)

    def encode(self, ids: jax.Array, segments: jax.Array, training: bool = False) -> jax.Array:
        """Encoder output (batch, source, hidden_dim) for ids and segment ids (batch, source)."""
        layers, way, seed = self.encoder_transformer_layers, self.way(training), self._seed(training)
        bias = layers[0].self_attention.position_bias(ids.shape[1], ids.shape[1])
        inside = partial(attend, way, bias=bias, mask=Mask(segments, segments))
        x = self._drop(self.token_embedding(ids), seed, len(layers))
        for i, layer in enumerate(layers):
            x = self._layer(layer, x, seed, i, attend=inside)
        return self._drop(self.encoder_layer_norm(x), seed, len(layers) + 1)

    def decode(
        self,
        ids: jax.Array,
        segments: jax.Array,
        memory: jax.Array,
        memory_segments: jax.Array,
        training: bool = False,
        readers: jax.Array | None = None,
    ) -> jax.Array:
        """Decoder output (batch, target, hidden_dim); ``memory`` is the encoder's output.

        ``readers``: segment ids (batch, target) for cross-attention, where they are not ``segments``: all options of
        one prompt read the same memory, and not each other.
        """
        layers, way, seed = self.decoder_transformer_layers, self.way(training), self._seed(training)
        bias = layers[0].self_attention.position_bias(ids.shape[1], ids.shape[1])
        inside = partial(attend, way, bias=bias, mask=Mask(segments, segments, causal=True))
        across = partial(attend, way, mask=Mask(segments if readers is None else readers, memory_segments))
        x = self._drop(self.token_embedding(ids), seed, len(layers))
        for i, layer in enumerate(layers):
            x = self._layer(layer, x, seed, i, attend=inside, memory=memory, attend_memory=across)
        return self._drop(self.decoder_layer_norm(x), seed, len(layers) + 1)

    def _layer(
        self, layer: keras.layers.Layer, x: jax.Array, seed: jax.Array | None, place: int, **arguments: Any
    ) -> jax.Array:
        """One layer, rematerialised if it is to be; ``seed`` is that of all layers."""
        call = partial(layer, **arguments, seed=seed_of(seed, place))
        return (call if self.remat == "none" else jax.checkpoint(call, policy=REMATERIALISATIONS[self.remat]))(x)

    def _seed(self, training: bool) -> jax.Array | None:
        """A seed (uint32) for the dropout of one call, or None where nothing is dropped."""
        return fold(*self.seeds.next()) if training and self.config.dropout else None

    def _drop(self, x: jax.Array, seed: jax.Array | None, place: int) -> jax.Array:
        return dropout(x, self.config.dropout, seed_of(seed, place))

    def hidden(self, inputs: Inputs, training: bool = False) -> jax.Array:
        """The decoder's output (batch, target, hidden_dim) for the call's inputs.

        Raises:
            UserError: a mask of another shape than its ids, or inputs and targets of different numbers of rows.
        """
        _check_shapes(inputs)
        segments = inputs["encoder_padding_mask"]
        memory = self.encode(inputs["encoder_token_ids"], segments, training=training)
        targets, target_segments = inputs["decoder_token_ids"], inputs["decoder_padding_mask"]
        return self.decode(targets, target_segments, memory, segments, training=training)

    def call(self, inputs: Inputs, training: bool = False) -> jax.Array:
        """Float32 logits (batch, target, vocabulary_size). Raises as ``hidden``."""
        return self.token_embedding.logits(self.hidden(inputs, training=training))

    def stateless_loss(
        self,
        trainable: Sequence[jax.Array],
        fixed: Sequence[jax.Array],
        batch: Inputs,
        z_loss: float,
        training: bool = True,
    ) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
        """The loss as a function of the variables' values; never holds all logits of a large batch.

        Args:
            trainable, fixed: values of ``trainable_variables`` and ``non_trainable_variables``.
            batch: the call's inputs and ``targets``, int32 (batch, target).
            z_loss: see ``flannb.model.loss.token_loss``.
            training: whether there is dropout.

        Returns:
            The mean loss over the real target tokens, their number, and the new values of ``fixed``.
        """
        variables = [*self.trainable_variables, *self.non_trainable_variables]
        with keras.StatelessScope(zip(variables, [*trainable, *fixed], strict=True)) as scope:
            hidden, kernel = self.token_embedding.head(self.hidden(batch, training=training))
            value, tokens = head_loss(hidden, kernel, batch["targets"], z_loss)
        return value, tokens, [scope.get_current_value(variable) for variable in self.non_trainable_variables]


def _check_shapes(inputs: Inputs) -> None:
    shapes = {name: tuple(value.shape) for name, value in inputs.items()}
    for side in ("encoder", "decoder"):
        ids, mask = shapes[f"{side}_token_ids"], shapes[f"{side}_padding_mask"]
        if ids != mask or len(ids) != 2:
            raise UserError(f"{side}_token_ids is {ids} and {side}_padding_mask {mask}; make both (batch, length)")
    if shapes["encoder_token_ids"][0] != shapes["decoder_token_ids"][0]:
        raise UserError(
            f"encoder_token_ids has {shapes['encoder_token_ids'][0]} rows and decoder_token_ids"
            f" {shapes['decoder_token_ids'][0]}; give each input its target"
        )


def build_model(
    config: T5Config, seed: int, dtype: str = "float32", attention: str = "auto", remat: str = "none"
) -> T5:
    """A T5 with random weights.

    Args:
        config: its shape.
        seed: fixes the initial weights and the dropout.
        dtype: a Keras dtype policy, such as ``float32`` or ``mixed_bfloat16`` (bf16 compute, fp32 weights).
        attention, remat: see ``T5``.
    """
    with _keras_seeded(seed):
        return T5(config, attention, remat, dtype=dtype)


_SEEDING = threading.Lock()


@contextmanager
def _keras_seeded(seed: int) -> Iterator[None]:
    """Keras draws the seeds of initialisers and dropout by ``random.randint``; here, this thread gets those of a seed.

    Python's generator is shared by all threads: if it was seeded, the draws of others (Dask's, in its workers) would
    shift those of the model. And keras.utils.set_random_seed imports TensorFlow wherever that is installed.
    """
    own, thread = random.Random(seed), threading.get_ident()
    with _SEEDING:
        shared = random.randint

        def randint(a: int, b: int) -> int:
            return own.randint(a, b) if threading.get_ident() == thread else shared(a, b)

        random.randint = randint
        try:
            yield
        finally:
            random.randint = shared


def parameters(model: keras.Model) -> int:
    """Number of trainable parameters."""
    return int(sum(np.prod(variable.shape) for variable in model.trainable_variables))
