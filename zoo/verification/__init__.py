"""Checks that files are the right ones, fit together, and compute the same after conversion."""
