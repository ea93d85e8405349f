"""Figures, each with one public command; they gate nothing."""
