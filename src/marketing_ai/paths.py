"""Where things live: the project, the lake, the logs and the cache.

Everything that a build writes stays below the project folder; only downloads and the JVM's
class archive go to a cache that several clones share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


class ProjectNotFoundError(RuntimeError):
    """No dbt_project.yml was found at or above the working directory."""


@dataclass(frozen=True)
class Paths:
    """Folders of one project.

    Attributes:
        root: folder that holds dbt_project.yml.
        lake: folder of the Delta tables, `<lake>/<schema>.db/<table>`.
        schema: schema of this project's tables.
        logs: folder of spark.log and dbt.log.
        cache: folder of the Delta jars and the JVM's class archive.
    """

    root: Path
    lake: Path
    schema: str
    logs: Path
    cache: Path


def find_paths(start: Path | None = None) -> Paths:
    """Find the project at or above `start` (default: the working directory).

    `MARKETING_HOME` names the project folder, `MARKETING_LAKE` moves the lake, and
    `MARKETING_SCHEMA` names the schema; profiles.yml reads the same variable.

    Raises:
        ProjectNotFoundError: there is no dbt_project.yml there.
    """
    here = Path(os.environ.get("MARKETING_HOME") or start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "dbt_project.yml").is_file():
            break
    else:
        raise ProjectNotFoundError(
            f"no dbt_project.yml at or above {here}: change into the project folder, "
            "or set MARKETING_HOME to it"
        )
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Paths(
        root=folder,
        lake=Path(os.environ.get("MARKETING_LAKE") or folder / "lake").resolve(),
        schema=os.environ.get("MARKETING_SCHEMA") or "marketing",
        logs=folder / "logs",
        cache=cache_home / "marketing-ai",
    )
