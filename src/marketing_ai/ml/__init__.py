"""Revenue forecast, budget what-ifs and campaign segments as plain functions.

The dbt Python models in ``python_models/`` only read tables, call :mod:`revenue` or
:mod:`segments` and return one tidy DataFrame. Everything with an idea in it lives here.
"""

# Part of every run_id: raise it when a change of code may change a number.
CODE_VERSION = "1"
