"""Histories: random clusters, random troubles, one seed each; see ``python -m tests.simulate --help``."""
