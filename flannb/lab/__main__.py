"""``python -m flannb.lab``: JupyterLab on the notebooks; options go to ``jupyter lab``."""

import sys

from flannb.lab.server import start

if __name__ == "__main__":
    start(sys.argv[1:])
