"""Trusted marketing numbers: load, read, ask."""
