"""Starts JupyterLab on the notebooks, with a kernel that is the Python of this process.

The notebooks ask for the kernel ``python3``. Which Python that is depends on what else is installed: a kernel of that
name in the user's folders, or on ``JUPYTER_PATH``, may come first. So a folder with our own is put before all others,
for as long as the server runs. The user's other kernels stay where they are.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from flannb.experiments import project_root

START = "notebooks/README.md"
"""The page that JupyterLab opens."""

SETTINGS = {
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
    # JupyterLab would ask at its first start whether it may fetch news, and look for updates.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}
"""Defaults of JupyterLab that are set otherwise; those that users have set themselves count."""


def write_kernel(folder: Path) -> None:
    """Writes a kernel ``python3`` that is this Python, below a folder of Jupyter's data."""
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": f"flannb (Python {sys.version_info[0]}.{sys.version_info[1]})",
        "language": "python",
        "metadata": {"debugger": True},
    }
    _write(folder / "kernels" / "python3" / "kernel.json", kernel)


def write_settings(folder: Path) -> None:
    """Writes ``SETTINGS``, and where JupyterLab starts, below a folder of Jupyter's configuration."""
    _write(folder / "labconfig" / "default_setting_overrides.json", SETTINGS)
    # In a file, and not as options of the command line, where users may not give them again.
    server = {
        "ServerApp": {
            "root_dir": str(project_root()),
            # The user's configuration may name another one, which would not look where our kernel is.
            "kernel_spec_manager_class": "jupyter_client.kernelspec.KernelSpecManager",
        },
        "LabApp": {"default_url": f"/lab/tree/{START}"},
        "MultiKernelManager": {"default_kernel_name": "python3"},
    }
    _write(folder / "jupyter_server_config.json", server)


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def put_first(variable: str, folder: Path) -> None:
    """Puts a folder before those that a variable of the environment lists."""
    listed = os.environ.get(variable, "")
    os.environ[variable] = f"{folder}{os.pathsep}{listed}" if listed else str(folder)


def start(options: Sequence[str]) -> None:
    """Runs JupyterLab until it is stopped.

    Args:
        options: of ``jupyter lab``, such as ``--no-browser`` or ``--port=8890``.
    """
    from jupyterlab.labapp import LabApp

    with tempfile.TemporaryDirectory(prefix="flannb-lab-") as folder:
        write_kernel(Path(folder) / "data")
        write_settings(Path(folder) / "config")
        put_first("JUPYTER_PATH", Path(folder) / "data")
        put_first("JUPYTER_CONFIG_PATH", Path(folder) / "config")
        LabApp.launch_instance(list(options))
