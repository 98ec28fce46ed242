"""dbt plugin: dbt's Spark `session` method with Python models, typed seeds and one writer.

dbt-core imports every installed module named `dbt_*` and starts its `plugins`; this one makes
the session method use the project's embedded Spark session, run Python models in it and load
seeds as one typed write. The hook is marked experimental in dbt-core, hence the pin to 1.11 and
the test that it is found.
"""

from __future__ import annotations

from typing import Any

from dbt.plugins.manager import dbtPlugin

# Commands that write tables; everything else may run beside a build.
WRITING_COMMANDS = frozenset({"build", "run", "seed", "snapshot", "clone", "retry"})


class MarketingSparkPlugin(dbtPlugin):
    """Patches dbt-spark's `session` method when dbt starts a command."""

    def initialize(self) -> None:
        """Apply the patches; a no-op where dbt-spark is not installed (Databricks' environment)."""
        try:
            from dbt.adapters.spark import impl, session
        except ImportError:
            return
        from dbt_marketing_spark.python_models import SessionPythonJobHelper
        from dbt_marketing_spark.statements import execute

        cursor: Any = session.Cursor
        cursor.execute = execute

        adapter: Any = impl.SparkAdapter
        helpers = adapter.python_submission_helpers.fget
        default = adapter.default_python_submission_method.fget
        if getattr(helpers, "is_marketing_patch", False):
            return

        def python_submission_helpers(self: Any) -> dict[str, Any]:
            return {**helpers(self), "session": SessionPythonJobHelper}

        def default_python_submission_method(self: Any) -> str:
            # DatabricksAdapter inherits this property, and has no session of ours.
            if getattr(self.config.credentials, "method", None) == "session":
                return "session"
            return default(self)

        python_submission_helpers.is_marketing_patch = True  # type: ignore[attr-defined]
        adapter.python_submission_helpers = property(python_submission_helpers)
        adapter.default_python_submission_method = property(default_python_submission_method)


plugins = [MarketingSparkPlugin]
