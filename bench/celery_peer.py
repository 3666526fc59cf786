"""The peer of bench/celery.ts: the task that is drained, and one that tells when it ran."""
import os
import time

from celery import Celery

app = Celery("peer", broker=os.environ["BROKER"])
app.conf.task_ignore_result = True


@app.task(name="tasks.echo")
def echo(value):
    return value


@app.task(name="bench.mark")
def mark(name):
    with open(os.environ["MARKS"], "a") as marks:
        marks.write("%s %.6f\n" % (name, time.time()))
