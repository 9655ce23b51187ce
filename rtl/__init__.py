"""Amaranth generators, one component a file, each built from the specification its golden function is built from."""
