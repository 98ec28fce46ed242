"""Measures forecast and segments against their goals (``python -m evaluation.forecasting``)."""
