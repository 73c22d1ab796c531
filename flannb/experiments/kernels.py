"""How papermill executes notebooks here: an engine and kernels of our own, each for one reason."""

from typing import Any, TextIO

ENGINE = "flannb"
"""The name of the engine for ``papermill.execute_notebook``, once ``register`` was called."""


def register() -> str:
    """Makes the engine known to papermill; returns its name.

    It leaves what widgets print to the cell's own outputs. nbclient has them print into its model of an output widget,
    and to do so sends messages by the very socket on which it waits for the cell's reply. Now and then that swallows
    the notice that the reply has come, and the notebook waits for ever (nbclient's issue 312; seen here in a cell with
    ``interact``, once in some hundred runs).
    """
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines

    class Client(PapermillNotebookClient):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.widget_registry: dict[str, dict[str, Any]] = {}

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(
            cls, nb_man: Any, kernel_name: str, log_output: bool = False, start_timeout: int = 60, **options: Any
        ) -> Any:
            options.pop("input_path", None)
            client = Client(
                nb_man, kernel_name=kernel_name, log_output=log_output, startup_timeout=start_timeout, **options
            )
            return client.execute()

    papermill_engines.register(ENGINE, Engine)
    return ENGINE


def kernels(log: TextIO) -> type:
    """A manager of kernels whose own error output goes to a file: that of several would mix in the terminal, and what
    matters of it reaches people as the notebook's output.
    """
    from jupyter_client.manager import AsyncKernelManager

    class Kernels(AsyncKernelManager):
        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
            await super().start_kernel(**kwargs, stderr=log)

    return Kernels
