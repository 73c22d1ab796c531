"""flannb: the notebook-first laboratory for The Flan Collection (arXiv 2301.13688).

The folders follow the way of the data, each stage knowing only the stages before it:

``collection`` (what the data is) -> ``build`` (how it is made) -> ``mixture`` (how it is weighted) -> ``model`` ->
``train`` -> ``evaluate`` -> ``experiments`` (the paper's artefacts as tables of runs) ->
``report``, ``share``. ``extra`` has what users add.
"""

import os

# Keras reads its backend once, at import; flannb is written for JAX.
os.environ["KERAS_BACKEND"] = "jax"

# Arrow's allocator claims 1 GiB at once, which it may never use but which counts where memory is limited (ulimit -d).
os.environ.setdefault("MIMALLOC_ARENA_EAGER_COMMIT", "0")

__version__ = "0.1.0"
