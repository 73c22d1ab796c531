"""pyproject.toml, the lock files, environment.yml and the package tell the same story."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import flannb

ROOT = Path(__file__).parents[1]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def pins(lock: str) -> dict[str, list[tuple[Requirement, list[str]]]]:
    """Every pinned package of a lock file: its requirements, one per Python or platform, with their hashes."""
    found: dict[str, list[tuple[Requirement, list[str]]]] = {}
    lines = [line for line in (ROOT / lock).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        words, *hashes = entry.split(" --hash=")
        requirement = Requirement(words)
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, [h.strip() for h in hashes]))
    return found


def wanted(extra: str = "") -> list[Requirement]:
    """What pyproject.toml asks for: dependencies, groups, the build, and one extra."""
    project = PYPROJECT["project"]
    texts = [*project["dependencies"], *PYPROJECT["build-system"]["requires"]]
    texts += [text for group in PYPROJECT["dependency-groups"].values() for text in group]
    texts += project["optional-dependencies"][extra] if extra else []
    return [Requirement(text) for text in texts]


def test_every_accelerator_has_a_lock():
    extras = PYPROJECT["project"]["optional-dependencies"]
    accelerators = [extra for extra, needs in extras.items() if any(need.startswith("jax[") for need in needs)]
    assert {f"requirements-{extra}.lock" for extra in accelerators} | {"requirements.lock"} == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_what_pyproject_asks_for(lock):
    extra = lock.removeprefix("requirements").removesuffix(".lock").removeprefix("-")
    pinned = pins(lock)
    for requirement in wanted(extra):
        versions = pinned.get(canonicalize_name(requirement.name))
        assert versions, f"{lock}: {requirement.name} is missing. Run `nox -s lock`."
        for pin, _ in versions:
            (version,) = pin.specifier
            assert requirement.specifier.contains(version.version), f"{lock}: {pin} against {requirement}"


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_exact_hashed_and_free_of_places(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|--index-url|--extra-index-url|--find-links|^-e|^/", text, re.MULTILINE)
    for name, versions in pins(lock).items():
        for pin, hashes in versions:
            assert [specifier.operator for specifier in pin.specifier] == ["=="], f"{lock}: {name} is not exact"
            assert hashes, f"{lock}: {name} has no hash"
            assert all(re.fullmatch("sha256:[0-9a-f]{64}", value) for value in hashes), f"{lock}: {name}"


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_agree_with_each_other(lock):
    common, other = pins("requirements.lock"), pins(lock)
    for name, versions in common.items():
        assert [str(pin) for pin, _ in other[name]] == [str(pin) for pin, _ in versions]


def test_conda_environment_installs_the_lock_on_a_supported_python():
    packages = [entry for entry in CONDA["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock"]
    assert "pip" in packages
    (python,) = (entry.removeprefix("python=") for entry in packages if entry.startswith("python="))
    assert SpecifierSet(PYPROJECT["project"]["requires-python"]).contains(f"{python}.0")
    assert f"Programming Language :: Python :: {python}" in PYPROJECT["project"]["classifiers"]
    assert CONDA["name"] == PYPROJECT["project"]["name"] == flannb.__name__


def test_citation_has_the_version_and_licence_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == flannb.__version__
    assert citation["license"] == PYPROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_continuous_integration_runs_the_command_of_the_readme():
    command = 'python3 -m pip install "nox[uv]" && nox -s tests'
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert command in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_arrow_does_not_claim_memory_that_it_may_never_use():
    words = "import flannb, pyarrow; pyarrow.array([1]); print(open('/proc/self/status').read())"
    status = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    claimed = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    assert claimed < 2**19, f"{claimed} KiB are claimed before anything is done"
