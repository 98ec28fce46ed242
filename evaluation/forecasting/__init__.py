"""Measures the forecast and the segments against their goals: ``python -m evaluation.forecasting``."""
