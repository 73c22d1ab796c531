"""Trust: what flannb does when things go wrong, by making them go wrong. `nox -s trust` runs it; no stage knows it."""
