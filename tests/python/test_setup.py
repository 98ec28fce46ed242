"""A machine that lacks something is told what to install; a changed jar stops the start."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from marketing_ai.lake import jars
from marketing_ai.paths import ProjectNotFoundError, find_paths
from marketing_ai.setup import SetupError, java_version

ROOT = Path(__file__).resolve().parents[2]


def fake_java(tmp_path: Path, version: str) -> Path:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    return tmp_path


def test_java_is_found():
    assert java_version() >= 17


def test_missing_java_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SetupError, match=r"Java was not found.*Install Java 17 or newer"):
        java_version()


def test_old_java_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "11.0.2")))
    with pytest.raises(SetupError, match=r"is Java 11. Install Java 17 or newer"):
        java_version()


def test_old_python_says_what_to_install(tmp_path):
    (tmp_path / "old").write_text(
        "#!/bin/sh\ncase $1 in --version) echo Python 3.9.1;; *) exit 1;; esac"
    )
    (tmp_path / "old").chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(
        ["make", ".venv/bin/python", f"PYTHON={tmp_path / 'old'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stdout
    assert "is Python 3.9.1" in done.stdout


def test_a_tampered_jar_stops_the_start(tmp_path):
    source = jars.verified(find_paths(ROOT).cache, ROOT)[0].parent
    target = tmp_path / source.relative_to(find_paths(ROOT).cache)
    target.mkdir(parents=True)
    for jar in source.glob("*.jar"):
        shutil.copy(jar, target)
    assert jars.verified(tmp_path, ROOT)
    victim = target / "io.delta_delta-storage-4.4.0.jar"
    content = bytearray(victim.read_bytes())
    content[100] ^= 1
    victim.write_bytes(content)
    with pytest.raises(jars.JarError, match=r"delta-storage-4\.4\.0\.jar is not the pinned jar"):
        jars.verified(tmp_path, ROOT)
    victim.unlink()
    with pytest.raises(jars.JarError, match="is missing: run `make setup`"):
        jars.verified(tmp_path, ROOT)


def test_outside_a_project_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("MARKETING_HOME")
    with pytest.raises(ProjectNotFoundError, match=r"no dbt_project\.yml at or above"):
        find_paths(tmp_path)


def test_help_teaches_the_commands():
    for arguments, words in (
        (["--help"], ["setup", "build", "report"]),
        (["build", "--help"], ["--input", "--full-refresh", "campaign_id", "75 another build"]),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "marketing_ai.cli", *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "200", "PATH": ""},
        )
        for word in words:
            assert word in done.stdout
