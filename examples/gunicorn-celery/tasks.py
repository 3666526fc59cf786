"""One task, sent by the page, and by beat every minute."""

import os

from celery import Celery

app = Celery("tasks", broker=os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
app.conf.beat_schedule = {"add-every-minute": {"task": "tasks.add", "schedule": 60.0, "args": (1, 1)}}


@app.task
def add(a, b):
    return a + b
