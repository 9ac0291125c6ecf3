"""A local session of Spark whose workers run this interpreter and find this package."""

from __future__ import annotations

import contextlib
import os
import sys

import run_program


@contextlib.contextmanager
def session(cores=2):
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    # The tests' own folder, for the functions that they send to workers.
    os.environ["PYTHONPATH"] = os.pathsep.join([run_program.SOURCES["PYTHONPATH"], *sys.path])
    builder = SparkSession.builder.master(f"local[{cores}]").appName("mpflags")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": cores,
        "spark.driver.memory": "2g",
    }.items():
        builder = builder.config(name, value)
    running = builder.getOrCreate()
    running.sparkContext.setLogLevel("ERROR")
    try:
        yield running
    finally:
        running.stop()
