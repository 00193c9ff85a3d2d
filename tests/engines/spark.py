"""A Spark standalone cluster on loopback, a master and two workers of one core each, and a session on it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import ports
import pyspark
from pyspark.sql import SparkSession

from stored_completions import portable

WORKERS = 2
_HOME = Path(pyspark.__file__).parent
_DEPLOY = "org.apache.spark.deploy"


@contextmanager
def session(access: dict[str, str]) -> Iterator[SparkSession]:
    """With the settings that the views need; `access` reaches the driver and every executor as environment."""
    os.environ |= access | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    with TemporaryDirectory(prefix="spark-") as folder, cluster(Path(folder)) as master:
        builder = SparkSession.builder.master(master).appName("stored-completions")
        for name, value in (_settings(folder) | portable.SETTINGS).items():
            builder = builder.config(name, value)
        for name, value in access.items():
            builder = builder.config(f"spark.executorEnv.{name}", value)
        spark = builder.getOrCreate()
        ports.wait(lambda: _executors(spark) == WORKERS, "An executor on each worker", 180)
        try:
            yield spark
        finally:
            spark.stop()


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """The master's URL. At most 2.5 GB in all, driver included."""
    port, *pages = ports.free(2 + WORKERS)
    master = f"spark://127.0.0.1:{port}"
    host = ("--host", "127.0.0.1")
    with ExitStack() as stack:
        where = ("--port", str(port), "--webui-port", str(pages[0]))
        stack.enter_context(_daemon(folder / "master", "master.Master", *host, *where))
        ports.wait(lambda: ports.listens(port), "The master", 180)
        for number, page in enumerate(pages[1:]):
            work = folder / f"worker{number}"
            size = ("--cores", "1", "--memory", "768m", "--webui-port", str(page), "--work-dir", str(work))
            stack.enter_context(_daemon(work, "worker.Worker", *host, *size, master))
        yield master


@contextmanager
def _daemon(folder: Path, name: str, *arguments: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    environment = os.environ | {"SPARK_HOME": str(_HOME), "SPARK_DAEMON_MEMORY": "192m"}
    with open(folder / "daemon.log", "wb") as log:
        process = subprocess.Popen(
            [_HOME / "bin" / "spark-class", f"{_DEPLOY}.{name}", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _settings(folder: str) -> dict[str, str]:
    """For small tables: compiling a plan and adapting it would cost more than to run it."""
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "512m",
        "spark.executor.memory": "640m",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.shuffle.partitions": str(WORKERS),
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }


def _executors(spark: SparkSession) -> int:
    """Those that have come up; the driver is listed among them."""
    return spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1
