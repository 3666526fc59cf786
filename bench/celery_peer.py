"""The peer of bench/celery.ts: the task that is drained, and one that tells when it ran."""
import os
import time

from celery import Celery

app = Celery("peer", broker=os.environ["BROKER"])
if "RESULTS" in os.environ:
    app.conf.result_backend = os.environ["RESULTS"]
    schema = os.environ["RESULTS_SCHEMA"]
    app.conf.database_table_schemas = {"task": schema, "group": schema}
else:
    app.conf.task_ignore_result = True


@app.task(name="tasks.echo")
def echo(value):
    return value


@app.task(name="bench.mark", ignore_result=True)
def mark(name):
    with open(os.environ["MARKS"], "a") as marks:
        marks.write("%s %.6f\n" % (name, time.time()))
