"""Benchmarks: ``nox -s bench -- data --json FILE`` measures the build beside what people use otherwise."""
