"""The embedded Spark session: Delta, no server, no metastore process, no noise.

The lake folder itself is the catalogue: existing Delta tables are registered by their path
when a session starts, so there is no Derby database to lock, corrupt or lose. Jars come from
the verified cache (see `setup`), Spark's own output goes to logs/spark.log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
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
    # Inferring constraints over the rules of a delivered row took 20 s of planning a query.
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.driver.memory": "4g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}

# Parquet bytes of loaded rows from which a build is work rather than start-up.
LARGE_BYTES = 40_000_000
LARGE_PARTITIONS = "16"

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
        conf = session_settings(paths, settings)
        builder = SparkSession.builder
        for key, value in conf.items():
            builder = builder.config(key, value)
        if conf.get("spark.sql.catalogImplementation") == "hive":
            builder = builder.enableHiveSupport()
        _loopback_unless_remote(conf["spark.master"])
        # Executors run the Python that this is, not whatever `python3` is on the PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        # PySpark prints the whole JSON stack of any SQL error; dbt shows the message itself.
        logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
        with _output_to(paths.logs / "spark.log"):
            return builder.getOrCreate()


def session_settings(paths: Paths, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Everything that a session is started with: our defaults, what this lake needs, the profile.

    Args:
        paths: folders of the project; the size of the lake decides for short or long queries.
        settings: the profile's settings, which win.

    Raises:
        marketing_ai.lake.jars.JarError: the Delta jars are absent or not the pinned ones.
    """
    given = dict(settings or {})
    local = given.get("spark.master", DEFAULTS["spark.master"]).startswith("local")
    files = jars.verified(paths.cache, paths.root)
    conf = DEFAULTS | {
        # On the class path, not in spark.jars: the JVM's archive holds built-in loaders only.
        "spark.driver.extraClassPath": os.pathsep.join(map(str, files)),
        "spark.sql.warehouse.dir": paths.lake.as_uri(),
    }
    options = ["-XX:ReservedCodeCacheSize=256m", "-XX:+UseParallelGC"]
    if local and not is_large(paths):
        # Short queries end before the second compiler pays off; the code cache of the first
        # alone would be 48 MB, and compilation stops when it is full.
        options.insert(0, "-XX:TieredStopAtLevel=1")
    else:
        conf["spark.sql.shuffle.partitions"] = LARGE_PARTITIONS
    archive = jars.class_archive(paths.cache)
    if archive.is_file():
        options += [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:disable"]
    conf["spark.driver.extraJavaOptions"] = " ".join(options)
    if not local:
        # Executors have a class path of their own, and fetch the jars from this driver.
        conf["spark.jars"] = ",".join(file.as_uri() for file in files)
    return conf | given


def is_large(paths: Paths, *, everything: bool = False) -> bool:
    """Whether a build's queries run long enough for the JVM's second compiler.

    `MARKETING_SPARK_SIZE` says `small` or `large`; else the Parquet bytes of the rows that the
    last build has not taken in do, or of all rows if the build starts from scratch.
    """
    said = os.environ.get("MARKETING_SPARK_SIZE", "")
    if said in {"small", "large"}:
        return said == "large"
    schema = paths.lake / f"{paths.schema}.db"
    built = [log.stat().st_mtime for log in schema.glob("marketing_loads/_delta_log/*.json")]
    since = 0.0 if everything else max(built, default=0.0)
    files = (file.stat() for file in schema.glob("raw_marketing_delivery/**/*.parquet"))
    return sum(file.st_size for file in files if file.st_mtime > since) > LARGE_BYTES


def _loopback_unless_remote(master: str) -> None:
    """Keep the driver on this machine's loopback, unless a cluster elsewhere must reach it."""
    host = re.match(r"spark://([^:/,]+)", master)
    if master.startswith("local") or (host and host[1] in {"127.0.0.1", "localhost"}):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


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
