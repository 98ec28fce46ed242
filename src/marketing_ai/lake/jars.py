"""The Delta jars: fetched once by Maven coordinates, checked against a committed manifest.

Spark's own resolver does the download, so a mirror that is set up for Spark or Ivy is used and
no address is written here. Every start compares the files with `requirements/jars.sha256`, since
the resolver itself checks sha1 only. The class-data-sharing archive of the JVM, which makes
each later start faster, is made from the same jars.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COORDINATES = "io.delta:delta-spark_4.2_2.13:4.4.0"
MANIFEST = "requirements/jars.sha256"

# Runs in a process of its own: classes that this touches go into the archive.
_WARM_UP = """
import sys
from pyspark.sql import SparkSession, functions as f
builder = SparkSession.builder
for setting in sys.argv[2:]:
    builder = builder.config(*setting.split("=", 1))
spark = builder.getOrCreate()
spark.sql("create schema if not exists warm")
frame = spark.range(100).withColumn("k", f.col("id") % 7)
frame.write.format("delta").saveAsTable("warm.t")
spark.sql("create or replace table warm.u using delta as "
          "select k, sum(id) as s, cast(sum(id) as decimal(18, 4)) as d from warm.t group by k")
spark.sql("create or replace temporary view v as select * from warm.u")
spark.sql("merge into warm.u using v on warm.u.k = v.k "
          "when matched then update set * when not matched then insert *")
spark.sql("alter table warm.u change column k comment 'key'")
spark.sql("select t.k, count(*) from warm.t left join warm.u on t.k = u.k "
          "group by t.k order by 1").collect()
spark.sql("describe history warm.u").collect()
import pyarrow
spark.createDataFrame(pyarrow.table({"x": [1.0, 2.0, 3.0], "y": [1.0, 0.0, 1.0]})).toPandas()
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import RandomForestRegressor
points = VectorAssembler(inputCols=["k", "id"], outputCol="features").transform(frame)
RandomForestRegressor(labelCol="id", numTrees=2).fit(points).transform(points).collect()
KMeans(k=2, seed=1).fit(points).transform(points).collect()
jvm = spark.sparkContext._gateway.proc
spark.stop()
jvm.stdin.close()
jvm.wait()  # the archive is written while the JVM exits
"""


class JarError(RuntimeError):
    """The Delta jars are absent, incomplete or not the pinned ones."""


def folder(cache: Path) -> Path:
    """Folder of the Delta jars in the cache."""
    return cache / "jars" / COORDINATES.replace(":", "_")


def class_archive(cache: Path) -> Path:
    """Path of the JVM's class archive, which may be absent.

    It holds for one Java and one class path, so it lives in the environment that has the jars of
    pyspark, and its name tells the Java and the Delta jars.
    """
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else None
    found = os.path.realpath(java or shutil.which("java") or "java")
    key = hashlib.sha256(f"{found} {folder(cache)}".encode()).hexdigest()[:12]
    return Path(sys.prefix) / f"spark-{key}.jsa"


def read_manifest(root: Path) -> dict[str, str]:
    """Return file name -> sha256 as committed.

    Raises:
        JarError: the manifest is absent or holds a line that isn't `<sha256>  <name>`.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise JarError(f"{path} is missing: restore it from git")
    entries = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise JarError(f"{path}, line {number}: expected '<sha256>  <file name>'")
        entries[name] = digest
    return entries


def verified(cache: Path, root: Path | None = None) -> list[Path]:
    """Return the jars, each checked against the manifest, in a stable order.

    Raises:
        JarError: a jar is absent or its sha256 differs; the message says what to run.
    """
    from marketing_ai.paths import find_paths

    manifest = read_manifest(root or find_paths().root)
    home = folder(cache)
    paths = []
    for name, digest in sorted(manifest.items()):
        path = home / name
        if not path.is_file():
            raise JarError(f"the Delta jar {path} is missing: run `make setup` to fetch it")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise JarError(
                f"{path} is not the pinned jar (its sha256 differs from {MANIFEST}): "
                "delete it and run `make setup`; if it differs again, somebody changed it upstream"
            )
        paths.append(path)
    return paths


def fetch(cache: Path, root: Path, log: Path, *, pin: bool = False) -> None:
    """Fetch the jars by their coordinates and make the JVM's class archive.

    Args:
        cache: shared cache folder.
        root: project folder, which holds the manifest.
        log: file that receives Spark's and Ivy's output.
        pin: write the manifest from what was fetched (a deliberate upgrade) instead of checking.

    Raises:
        JarError: the download failed or a jar differs from the manifest.
    """
    home = folder(cache)
    home.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    if pin or any(not (home / name).is_file() for name in read_manifest(root)):
        with tempfile.TemporaryDirectory() as ivy:
            _run_spark(log, {"spark.jars.packages": COORDINATES, "spark.jars.ivy": ivy})
            for jar in sorted(Path(ivy, "jars").glob("*.jar")):
                # The rest of what the resolver brings (Hadoop, Parquet, …) is in pyspark already,
                # in the versions that Spark was built with.
                if jar.name.startswith(("io.delta_", "io.unitycatalog_")):
                    shutil.move(jar, home / jar.name)
    if pin:
        lines = (
            f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n"
            for jar in sorted(home.glob("*.jar"))
        )
        (root / MANIFEST).write_text("".join(lines))
    jars = verified(cache, root)
    archive = class_archive(cache)
    if not archive.is_file() or archive.stat().st_mtime < max(j.stat().st_mtime for j in jars):
        partial = archive.with_suffix(f".{os.getpid()}")
        _run_spark(
            log,
            {
                "spark.driver.extraClassPath": os.pathsep.join(map(str, jars)),
                "spark.driver.extraJavaOptions": f"-XX:ArchiveClassesAtExit={partial}",
            },
        )
        if partial.is_file():
            os.replace(partial, archive)


def _run_spark(log: Path, settings: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as scratch, log.open("ab") as output:
        base = {
            "spark.master": "local[2]",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.sql.warehouse.dir": Path(scratch).as_uri(),
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        } | settings
        done = subprocess.run(
            [sys.executable, "-c", _WARM_UP, "-", *(f"{k}={v}" for k, v in base.items())],
            stdout=output,
            stderr=output,
            env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"},
            cwd=scratch,
            check=False,
        )
    if done.returncode:
        raise JarError(
            f"Spark could not start with {COORDINATES}; its last words are at the end of {log}. "
            "Without a network, copy the cache folder of a machine that has one."
        )
