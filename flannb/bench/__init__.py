"""Benchmarks beside what people use otherwise: ``nox -s bench -- data --json FILE``, ``generate``, ``evaluate``."""
