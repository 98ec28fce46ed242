"""SQL statements of dbt's session method, run in the project's embedded session.

dbt-spark rebuilds its session configuration for every statement and switches ANSI off in it, so
that a bad cast becomes NULL and an overflow wraps. Here the session is configured once, ANSI
stays on, and a writing command takes the lake's lock before Spark starts.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt.flags import get_flags
from dbt_common.exceptions import DbtRuntimeError
from dbt_common.invocation import get_invocation_id

from dbt_marketing_spark import WRITING_COMMANDS
from marketing_ai.lake.jars import JarError
from marketing_ai.lake.lock import LakeBusyError, acquire_writer
from marketing_ai.lake.session import register_tables, spark_session
from marketing_ai.paths import find_paths

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_registration = threading.Lock()
_registered: set[tuple[str, Path, str]] = set()


def current_session(server_side_parameters: dict[str, Any] | None = None) -> SparkSession:
    """Return the session of this dbt command, started with the profile's settings if need be.

    Raises:
        DbtRuntimeError: another process writes to the lake, or the Delta jars are not in order.
    """
    settings = {key: str(value) for key, value in (server_side_parameters or {}).items()}
    settings.pop("spark.sql.ansi.enabled", None)  # forced to false by dbt-spark, whatever is set
    paths = find_paths()
    command = getattr(get_flags(), "WHICH", None)
    try:
        if command in WRITING_COMMANDS:
            acquire_writer(paths.lake, f"dbt {command}")
        spark = spark_session(settings, paths=paths)
    except (LakeBusyError, JarError) as error:
        raise DbtRuntimeError(str(error)) from error
    invocation = (get_invocation_id(), paths.lake, paths.schema)
    with _registration:
        # A loader without a JVM may have written tables since this session started.
        if invocation not in _registered:
            _registered.clear()
            register_tables(spark, paths.lake, paths.schema)
            _registered.add(invocation)
    return spark


def execute(self: Any, sql: str, *parameters: Any) -> None:
    """Replace `dbt.adapters.spark.session.Cursor.execute`.

    Raises:
        DbtRuntimeError: Spark refused the statement; the message is Spark's, without the plan.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    if parameters:
        sql = sql % parameters
    try:
        self._df = current_session(self.server_side_parameters).sql(sql)
        self._rows = None
    except (PySparkException, Py4JJavaError) as error:
        raise DbtRuntimeError(explain(error)) from error


def explain(error: BaseException) -> str:
    """Return what Spark says is wrong: the innermost cause, without the JVM's stack."""
    text = str(error).split("\n\nJVM stacktrace")[0]
    causes = re.findall(r"^Caused by: (.*)$", text, flags=re.MULTILINE)
    return causes[-1] if causes else text
