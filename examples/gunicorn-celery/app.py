"""A page that sends a task."""

from tasks import add


def application(environ, start_response):
    result = add.delay(2, 3)
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"sent {result.id}\n".encode()]
