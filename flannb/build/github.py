"""Raw files from GitHub, at pinned commits.

GitHub's tree of a commit lists the git id of every file, which hashes its content: so the commit pins the bytes.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flannb.build.download import RETRIES, TIMEOUT, Remote, download, patiently
from flannb.collection import RawFile
from flannb.errors import UserError
from flannb.files import add_sum, is_intact, read_sums

COMMITS = {
    "google-research/FLAN": "e9e4ec6e2701",
    "suzgunmirac/BIG-Bench-Hard": "9ee07bd481feebf959a6b59d61ea57bdcf30964d",
    "allenai/natural-instructions": "e0fd31052b21acea5bd95fb00253e1ee1f5d8259",
    "google-research-datasets/simulated-dialogue": "9c5752ffa60d00c58efe52ce2ec6a29f2c2bb47b",
}
"""Repository -> the commit that is read; a new repository needs a line here."""

_HEADERS = {"Accept": "application/vnd.github+json"}


@dataclass
class GitHub:
    """Files below ``github/`` (see ``flannb.collection.RawFile``).

    Attributes:
        raw, api: addresses of the servers.
        cache: folder that keeps what was read; by default one in ``HF_HOME``.
        attempts: how often it is asked before it counts as not answering.
    """

    raw: str = "https://raw.githubusercontent.com"
    api: str = "https://api.github.com"
    cache: Path | None = None
    attempts: int = RETRIES
    _trees: dict[tuple[str, str], tuple[str, dict[str, tuple[int, str]]]] = field(default_factory=dict, repr=False)

    def commit(self, data: RawFile) -> str:
        """The commit that is read of a file's repository, as pinned; empty where none is pinned."""
        return COMMITS.get(_parts(data)[0], "")

    def remote(self, data: RawFile, commit: str = "") -> tuple[str, Remote] | None:
        """The commit in full and where the file is in it; ``None`` where it has no such file.

        Args:
            commit: read this one instead of the pinned one.

        Raises:
            UserError: GitHub does not answer.
        """
        repo, path = _parts(data)
        wanted = commit or COMMITS.get(repo, "")
        if not wanted:
            return None
        sha, files = self._tree(repo, wanted)
        if path not in files:
            return None
        size, blob = files[path]
        return sha, Remote(f"{self.raw}/{repo}/{sha}/{quote(path)}", size, blob=blob)

    def cached(self, data: RawFile) -> Path:
        """Where a file is kept once it was read; the pinned commit is part of the path."""
        from huggingface_hub.constants import HF_HOME

        repo, path = _parts(data)
        return (self.cache or Path(HF_HOME) / "flannb" / "github") / repo / COMMITS.get(repo, "unpinned") / path

    def fetch(self, data: RawFile) -> Path | None:
        """The path of a file, downloaded if it was not yet; ``None`` where GitHub has no such file.

        Raises:
            UserError: as ``remote`` and ``flannb.build.download.download``.
        """
        path = self.cached(data)
        # What was read once is believed while it is as it was then; whether GitHub agrees was seen at that time.
        if not is_intact(path, read_sums(path.parent).get(path.name)):
            found = self.remote(data)
            if found is None:
                return None
            add_sum(path.parent, path.name, download(found[1], path))
        return path

    def _tree(self, repo: str, commit: str) -> tuple[str, dict[str, tuple[int, str]]]:
        """The commit in full, and its files: path -> size and git id."""
        if (repo, commit) not in self._trees:
            sha = commit if len(commit) == 40 else self._ask(f"{repo}/commits/{commit}")["sha"]
            tree = self._ask(f"{repo}/git/trees/{sha}?recursive=1")["tree"]
            self._trees[repo, commit] = sha, {e["path"]: (e["size"], e["sha"]) for e in tree if e["type"] == "blob"}
        return self._trees[repo, commit]

    def _ask(self, path: str) -> Any:
        from huggingface_hub import get_session

        url = f"{self.api}/repos/{path}"

        def ask() -> Any:
            response = get_session().get(url, headers=_HEADERS, timeout=TIMEOUT)
            if response.status_code in (403, 404, 422, 429):
                raise UserError(
                    f"{url}: GitHub says {response.status_code}. "
                    + (
                        "There is no such repository or commit; correct COMMITS in flannb/build/github.py."
                        if response.status_code in (404, 422)
                        else "It answers 60 questions an hour; try again later, or name a mirror folder with --source."
                    )
                )
            response.raise_for_status()
            return response.json()

        return patiently(ask, url, attempts=self.attempts)


def _parts(data: RawFile) -> tuple[str, str]:
    """``owner/repo`` and the path in it.

    Raises:
        UserError: the path names no repository.
    """
    root, *parts = data.path.split("/", 3)
    if root != "github" or len(parts) < 3:
        raise UserError(f"{data}: a raw file's path must read 'github/<owner>/<repo>/<path>', or be absolute")
    owner, repo, path = parts
    return f"{owner}/{repo}", path
