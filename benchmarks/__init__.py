"""Speeds, as ratios measured side by side in one run; no test asserts them."""
