"""dbt Python models, run in the Spark session that dbt already uses.

Errors name the model's file and line. A model that fails, hangs past its `timeout` or returns
something that is no table leaves the old table as it was, because the write is one Delta commit
at the very end.
"""

from __future__ import annotations

import ctypes
import linecache
import sys
import threading
import traceback
from typing import Any

from dbt.adapters.base import PythonJobHelper
from dbt_common.exceptions import DbtRuntimeError
from pyspark import InheritableThread
from pyspark.sql import SparkSession

from dbt_marketing_spark.statements import current_session, explain

DEFAULT_TIMEOUT = 3600  # seconds; `timeout` in the model's config overrides


class _TimedOutError(Exception):
    """Raised inside the model's thread when its time is up."""


class SessionPythonJobHelper(PythonJobHelper):
    """Runs one compiled Python model; dbt makes an instance a model."""

    def __init__(self, parsed_model: dict[str, Any], credentials: Any) -> None:
        self.path: str = parsed_model["original_file_path"]
        self.name: str = parsed_model["unique_id"]
        self.raw_code: str = parsed_model.get("raw_code") or ""
        config = parsed_model.get("config") or {}
        self.timeout = float(config.get("timeout") or DEFAULT_TIMEOUT)
        self.server_side_parameters = dict(credentials.server_side_parameters or {})

    def submit(self, compiled_code: str) -> None:
        """Run the code and wait for it.

        Raises:
            DbtRuntimeError: the model raised (with file, line and text) or ran out of time.
        """
        spark = current_session(self.server_side_parameters)
        code = self._aligned(compiled_code)
        failure: list[BaseException] = []
        context = spark.sparkContext
        group = f"{self.name} {threading.get_ident()}"

        def run() -> None:
            context.setJobGroup(group, self.path, interruptOnCancel=True)
            try:
                self._run(code, spark)
            except BaseException as error:
                failure.append(error)

        worker = InheritableThread(target=run, name=self.name, daemon=True)
        worker.start()
        worker.join(self.timeout)
        if worker.is_alive():
            # Both halves: Spark's running jobs, and Python code that may be in a loop.
            context.cancelJobGroup(group)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(worker.ident or 0), ctypes.py_object(_TimedOutError)
            )
            worker.join(10)
            raise DbtRuntimeError(
                f"{self.path}: stopped after its timeout of {self.timeout:g} s; the old table "
                "stays. Raise `timeout` in the model's config if it needs longer."
            )
        if failure:
            raise DbtRuntimeError(self._explain(failure[0])) from failure[0]

    def _run(self, code: str, spark: SparkSession) -> None:
        # Tracebacks show the model's lines only if linecache knows them.
        linecache.cache[self.path] = (len(code), None, code.splitlines(keepends=True), self.path)
        namespace = {"spark": spark, "__name__": "__dbt_python_model__", "__file__": self.path}
        # dbt-spark's wrapper imports pandas-on-Spark for every model, seconds for nothing here.
        hidden = "pyspark.pandas" not in sys.modules
        if hidden:
            sys.modules["pyspark.pandas"] = None  # type: ignore[assignment]
        try:
            exec(compile(code, self.path, "exec"), namespace)  # noqa: S102 (it is the user's model)
        finally:
            if hidden:
                sys.modules.pop("pyspark.pandas", None)

    def _aligned(self, compiled_code: str) -> str:
        """Give the code the line numbers of the file: dbt's templates put lines before it."""
        first = next((line for line in self.raw_code.splitlines() if line.strip()), "")
        if not first or first not in compiled_code:  # a seed's macro has no code of its own
            return compiled_code
        before, found, code = compiled_code.partition(first)
        wanted = self.raw_code[: self.raw_code.find(first)].count("\n")
        # What comes before is blank or a comment; anything else has to stay.
        if all(not line.strip() or line.startswith("#") for line in before.splitlines()):
            before = "\n" * wanted
        return before + found + code

    def _explain(self, error: BaseException) -> str:
        text = explain(error)
        if isinstance(error, SyntaxError):
            return f"{self.path}, line {error.lineno}: {type(error).__name__}: {error.msg}"
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename == self.path]
        where = f"{self.path}, line {own[-1].lineno}" if own else self.path
        lines = [f"{where}: {type(error).__name__}: {text}"]
        inside = [f for f in frames if "marketing_ai" in f.filename]
        if own and own[-1].line:
            lines.append(f"    {own[-1].line.strip()}")
        if inside:
            lines.append(f"  raised in {inside[-1].filename}, line {inside[-1].lineno}")
        return "\n".join(lines)
