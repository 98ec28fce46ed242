"""The embedded Spark session: Delta, no server, no metastore process, no noise.

The lake folder itself is the catalogue: existing Delta tables are registered by their path
when a session starts, so there is no Derby database to lock, corrupt or lose. Jars come from
the verified cache (see `setup`), Spark's own output goes to logs/spark.log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from marketing_ai.lake import jars
from marketing_ai.paths import Paths, find_paths

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What every session of this project needs, whoever starts it; a profile may override.
DEFAULTS: dict[str, str] = {
    "spark.master": "local[*]",
    "spark.app.name": "marketing-ai",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.driver.memory": "4g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}

_lock = threading.Lock()


def spark_session(
    settings: Mapping[str, str] | None = None,
    *,
    paths: Paths | None = None,
) -> SparkSession:
    """Return the process's Spark session, starting it at the first call.

    Args:
        settings: Spark settings on top of `DEFAULTS`; static ones count at the first call only.
        paths: folders to use; default: the project at or above the working directory.

    Raises:
        marketing_ai.lake.jars.JarError: the Delta jars are absent or not the pinned ones.
    """
    from pyspark.sql import SparkSession

    with _lock:
        active = SparkSession.getActiveSession() or SparkSession._instantiatedSession
        if active is not None and active._sc._jsc is not None:
            return active
        paths = paths or find_paths()
        conf = DEFAULTS | _local_settings(paths) | dict(settings or {})
        builder = SparkSession.builder
        for key, value in conf.items():
            builder = builder.config(key, value)
        if conf.get("spark.sql.catalogImplementation") == "hive":
            builder = builder.enableHiveSupport()
        # Loopback, unless a cluster's workers must reach this driver.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        # PySpark prints the whole JSON stack of any SQL error; dbt shows the message itself.
        logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
        with _output_to(paths.logs / "spark.log"):
            return builder.getOrCreate()


def _local_settings(paths: Paths) -> dict[str, str]:
    class_path = os.pathsep.join(str(jar) for jar in jars.verified(paths.cache, paths.root))
    settings = {
        # On the class path, not in spark.jars: the JVM's archive holds built-in loaders only.
        "spark.driver.extraClassPath": class_path,
        "spark.sql.warehouse.dir": paths.lake.as_uri(),
    }
    # Spark's short queries end before the second compiler pays off; the code cache of the first
    # alone would be 48 MB, and compilation stops when it is full.
    options = ["-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=256m", "-XX:+UseParallelGC"]
    archive = jars.class_archive(paths.cache)
    if archive.is_file():
        options += [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:disable"]
    settings["spark.driver.extraJavaOptions"] = " ".join(options)
    return settings


def register_tables(spark: SparkSession, lake: Path, schema: str) -> list[str]:
    """Make the lake's Delta tables of `schema` known to a session that has no metastore.

    Returns:
        The names of all tables in that folder, sorted; none where a Hive metastore knows them.
    """
    if spark.conf.get("spark.sql.catalogImplementation") == "hive":
        return []
    spark.sql(f"create schema if not exists `{schema}`")
    known = {table.name for table in spark.catalog.listTables(schema)}
    folder = lake / f"{schema}.db"
    names = sorted(log.parent.name for log in folder.glob("*/_delta_log"))
    for name in sorted(set(names) - known):
        location = (folder / name).as_uri().replace("'", "\\'")
        spark.sql(
            f"create table if not exists `{schema}`.`{name}` using delta location '{location}'"
        )
    return names


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send stdout and stderr to `log` while the JVM starts, which then keeps them."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    with log.open("ab") as handle:
        try:
            for number in saved:
                os.dup2(handle.fileno(), number)
            yield
        finally:
            for number, copy in saved.items():
                os.dup2(copy, number)
                os.close(copy)
