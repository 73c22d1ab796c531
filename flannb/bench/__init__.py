"""Benchmarks: ``nox -s bench -- NAME --json FILE`` measures flannb beside what people use otherwise."""
