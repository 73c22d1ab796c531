"""Pages of HTML from templates: what a template is given is escaped, and what it lacks is an error."""

from pathlib import Path

import jinja2


def templates_in(folder: Path) -> jinja2.Environment:
    """The templates of a folder; rendering one raises ``jinja2.UndefinedError`` for a value that it is not given."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
