"""One Spark session, one lake and one built demo for the whole run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"

# Before anything of dbt or Spark is imported: nothing of a test run lands in the user's lake.
os.environ["MARKETING_HOME"] = str(ROOT)
os.environ["DBT_PROFILES_DIR"] = str(ROOT)
os.environ["MARKETING_SPARK_MASTER"] = "local[2]"
os.environ.pop("MARKETING_SCHEMA", None)


@pytest.fixture(scope="session", autouse=True)
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake of this test run; schemas in it keep scenarios apart."""
    folder = tmp_path_factory.mktemp("lake")
    os.environ["MARKETING_LAKE"] = str(folder)
    os.environ["DBT_LOG_PATH"] = str(folder / "logs")
    return folder


@pytest.fixture(scope="session")
def spark(lake: Path):
    """The session that dbt, the loaders and the tests share."""
    from marketing_ai.lake.session import spark_session
    from marketing_ai.paths import find_paths

    settings = {"spark.master": "local[2]", "spark.driver.memory": "4g"}
    return spark_session(settings, paths=find_paths(ROOT))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data to run on, beside the repository; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"NOT RUN: {SHARED} is absent, so nothing was tried on real data")
    return SHARED


@dataclass(frozen=True)
class Project:
    """Runs dbt on a schema of its own, in this process."""

    lake: Path
    schema: str

    @property
    def paths(self):
        from marketing_ai.paths import find_paths

        return replace(find_paths(ROOT), lake=self.lake, schema=self.schema)

    @property
    def target(self) -> Path:
        """dbt's target folder of this schema."""
        return self.lake / f"target_{self.schema}"

    def dbt(self, *arguments: str, data: str = "demo", **variables):
        """Run a dbt command; `data` is the var marketing_data."""
        from marketing_ai.build import run_dbt

        self._enter()
        command = [*arguments, "--project-dir", str(ROOT), "--profiles-dir", str(ROOT)]
        variables = json.dumps({"marketing_data": data, **variables})
        return run_dbt([*command, "--vars", variables], Console(quiet=True))

    def _enter(self) -> None:
        os.environ["MARKETING_SCHEMA"] = self.schema
        os.environ["DBT_TARGET_PATH"] = str(self.target)

    def build_file(self, file: Path, **options):
        """Run what `make build INPUT=file` runs."""
        from marketing_ai.build import build

        self._enter()
        return build(self.paths, Console(quiet=True), input_file=file, **options)

    def table(self, name: str, version: int | None = None) -> pl.DataFrame:
        """Read a table's newest version, not the published one."""
        path = self.lake / f"{self.schema}.db" / name
        return pl.scan_delta(str(path), version=version).collect()

    def publication(self):
        from marketing_ai.lake import current_publication

        return current_publication(self.paths)


@pytest.fixture
def project(spark, lake: Path, request: pytest.FixtureRequest) -> Project:
    """An empty schema for one test."""
    return Project(lake, request.node.originalname.removeprefix("test_"))


@pytest.fixture(scope="session")
def demo(spark, lake: Path) -> Project:
    """The demo, built twice: the second run takes the incremental branches."""
    project = Project(lake, "demo")
    first = project.dbt("build")
    assert first.success, "\n".join(map(str, first.failures))
    kept = {name: project.publication().read(name) for name in project.publication().versions}
    second = project.dbt("build")
    assert second.success, "\n".join(map(str, second.failures))
    object.__setattr__(project, "first_build", kept)
    return project
