"""Folders to the Hugging Face Hub: what would go where, and sending it."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import validate_repo_id

from flannb.build.export import STATE
from flannb.errors import UserError
from flannb.share.model import CARD, MARK

KINDS = ("model", "dataset")
TOKENS = "https://huggingface.co/settings/tokens"
NO_TOKEN = f"the Hub needs a token that may write: make one at {TOKENS}, then `hf auth login` or export HF_TOKEN"


@dataclass(frozen=True)
class Upload:
    """A folder that goes to a repository of the Hub.

    Attributes:
        folder: what goes there.
        repository: ``OWNER/NAME``.
        kind: one of ``KINDS``.
        files: names of the files below the folder with their bytes, in order.
        endpoint: address of the Hub.
    """

    folder: Path
    repository: str
    kind: str
    files: tuple[tuple[str, int], ...]
    endpoint: str

    @property
    def address(self) -> str:
        """Where the repository can be seen."""
        return f"{self.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.repository}"

    def place(self, name: str) -> str:
        """Where a file will be."""
        return f"{self.address}/blob/main/{quote(name)}"


def kind_of(folder: Path) -> str:
    """Whether a folder is an exported model or a dataset, by what an export writes first.

    Raises:
        UserError: it is neither.
    """
    folder = Path(folder)
    if (folder / STATE).is_file():
        return "dataset"
    if (folder / MARK).is_file():
        return "model"
    raise UserError(
        f"{folder}: neither an exported model nor a dataset. Name the folder of a row, or of `nox -s data -- --export`."
    )


def check_repository(repository: str) -> None:
    """Raises ``UserError`` where a name is none that the Hub takes, ``OWNER/NAME``."""
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"--push {repository}: {error}") from error
    if repository.count("/") != 1:
        raise UserError(f"--push {repository}: name it OWNER/NAME, such as your name on the Hub and the model's")


def plan_upload(folder: Path, repository: str, endpoint: str | None = None) -> Upload:
    """What would go where; asks nobody.

    Args:
        folder: an exported model or dataset, with its card.
        repository: ``OWNER/NAME``.
        endpoint: address of the Hub; by default ``HF_ENDPOINT`` or the public one.

    Raises:
        UserError: a name that the Hub does not take, or a folder that is no export or not whole.
    """
    check_repository(repository)
    folder, kind = Path(folder), kind_of(folder)
    if not (folder / CARD).is_file():  # the last file of an export
        raise UserError(f"{folder}: has no card ({CARD}), so its export was broken off. Give that command again.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and _goes(path.relative_to(folder)))
    files = tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths)
    return Upload(folder, repository, kind, files, (endpoint or constants.ENDPOINT).rstrip("/"))


def _goes(path: Path) -> bool:
    """Hidden files are left of a write that was broken off; ``STATE`` and ``MARK`` are for the next export."""
    return path.name not in (STATE, MARK) and not any(part.startswith(".") for part in path.parts)


def upload(planned: Upload, private: bool = True) -> str:
    """Sends a folder; the repository is made if need be.

    Args:
        private: whether a repository that is made is; one that is there stays as it is.

    Returns:
        The address of the commit.

    Raises:
        UserError: no token, one that may not write there, no answer; the message says what to do.
    """
    if not get_token():
        raise UserError(NO_TOKEN)
    api = HfApi(endpoint=planned.endpoint)
    try:
        api.create_repo(planned.repository, repo_type=planned.kind, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=planned.repository,
            repo_type=planned.kind,
            folder_path=planned.folder,
            commit_message="Upload from flannb",
            allow_patterns=[_literal(name) for name, _ in planned.files],
        )
    except LocalTokenNotFoundError as error:
        raise UserError(NO_TOKEN) from error
    except OfflineModeIsEnabled as error:
        raise UserError("HF_HUB_OFFLINE is set: unset it to push") from error
    except HfHubHTTPError as error:
        raise UserError(f"--push {planned.repository}: {_refusal(error)}") from error
    except ValueError as error:  # an invalid head, says the Hub
        raise UserError(f"{planned.folder / CARD}: the Hub does not take the card ({error})") from error
    except Exception as error:  # the client's network errors have no base class of their own
        raise UserError(f"{planned.endpoint}: did not answer ({error}). Give the same command again.") from error
    return str(done.commit_url)


def _literal(name: str) -> str:
    """A pattern that means this name only."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _refusal(error: HfHubHTTPError) -> str:
    """What the Hub's answer means, and what to do."""
    status = error.response.status_code if error.response is not None else 0
    if status == 401:
        return f"the token is not taken ({error.server_message or 'unauthorized'}); {NO_TOKEN}"
    if status == 403:
        return f"the token may not write there; name an owner that you belong to, or make one that may at {TOKENS}"
    return f"the Hub says: {error.server_message or error}"
