"""The lab: one example of the collection at a time, live in a notebook, and models that answer.

``rows`` and ``examples`` make an example as a build does, ``packed`` a batch of it, ``models`` asks models, and
``view`` turns all that into HTML. ``explorer`` and ``asker`` connect it to widgets. ``server`` starts JupyterLab.
"""

from flannb.lab.asker import Asker
from flannb.lab.explorer import Explorer

__all__ = ["Asker", "Explorer"]
