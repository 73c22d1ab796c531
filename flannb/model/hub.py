"""Checkpoints by their address: ``hf://owner/name[@revision]`` and ``kaggle://owner/model/keras/variant[/version]``.

Files are cached by ``huggingface_hub`` and ``kagglehub``, and a cached one does without the network.
"""

import re
from pathlib import Path

from flannb.errors import UserError
from flannb.model import huggingface, kerashub

HF, KAGGLE = "hf://", "kaggle://"

SMALL = ["config.json", *huggingface.VOCABULARIES, *kerashub.VOCABULARIES]
"""What a checkpoint has beside its weights."""

WEIGHTS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
WEIGHTS += ["model.weights.h5", "model_*.weights.h5", "model.weights.json"]

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"

TIMEOUT = 20.0
"""Seconds until a server that does not answer is given up."""


def is_address(name: str) -> bool:
    """Whether a name is an address, and no path."""
    return "://" in name


def repository(address: str) -> tuple[str, str | None]:
    """The repository and the revision of ``hf://owner/name[@revision]``; another name is a repository as it is."""
    if not address.startswith(HF):
        return address, None
    name, _, revision = address.removeprefix(HF).partition("@")
    return name, revision or None


def fetch(address: str, weights: bool) -> Path:
    """The folder of the files of a checkpoint, brought here where they are not: only those that flannb reads.

    Args:
        weights: whether to bring the weights, too.

    Raises:
        UserError: no such address, repository or revision; access is not granted; or no answer.
    """
    if address.startswith(HF):
        return _from_hub(address, SMALL + WEIGHTS if weights else SMALL)
    if address.startswith(KAGGLE):
        return _from_kaggle(address)
    raise UserError(
        f"{address}: write hf://owner/name, hf://owner/name@revision, or kaggle://owner/model/keras/variant"
    )


def _from_hub(address: str, patterns: list[str]) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    name, revision = repository(address)
    if not re.fullmatch(r"(\w[\w.-]*/)?\w[\w.-]*", name):
        raise UserError(f"{address}: not the address of a model; write hf://owner/name or hf://owner/name@revision")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, etag_timeout=TIMEOUT))
    except GatedRepoError as error:
        raise UserError(
            f"{address}: its owner asks for consent. Accept the terms on its page, and {LOG_IN}."
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{address}: the model has no revision {revision!r}; its page lists those it has") from error
    except RepositoryNotFoundError as error:
        raise UserError(f"{address}: no such model, or a private one: see the spelling, or {LOG_IN}.") from error
    except Exception as error:  # the client's network errors have no base class of their own
        if constants.HF_HUB_OFFLINE:
            raise UserError(f"{address}: not cached, and HF_HUB_OFFLINE is set. Unset it, or name a folder.") from error
        raise UserError(f"{address}: the Hub did not answer ({error}). Try again, or name a folder.") from error


def hub_files(address: str) -> list[str]:
    """The names of the files of a repository on the Hub; none where it does not answer."""
    from huggingface_hub import HfApi

    name, revision = repository(address)
    try:
        return HfApi().list_repo_files(name, revision=revision)
    except Exception:  # only to say more of what is missing anyway
        return []


def _from_kaggle(address: str) -> Path:
    handle = address.removeprefix(KAGGLE)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+/[\w.-]+/[\w.-]+(/\d+)?", handle):
        raise UserError(f"{address}: write kaggle://owner/model/keras/variant, with /version or without")
    try:
        import kagglehub
    except ImportError as error:
        raise UserError(f"{address}: needs kagglehub ({error}); run pip install kagglehub") from error
    try:
        return Path(kagglehub.model_download(handle))
    except Exception as error:  # of the client, the network and Kaggle's terms
        raise UserError(f"{address}: Kaggle did not give it ({error}). See its page, log in, or try again.") from error
