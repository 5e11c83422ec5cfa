"""What a Kinto in trouble answers, for tests. Files in the server's directory begin it, so that it can run meanwhile.

    down      "METHOD SKIP TIMES": after SKIP calls of this method its storage is down for so many: Kinto answers 503 with
              Retry-After (the setting retry_after_seconds)
    limit     "N SECONDS": no more requests than N within so many seconds: 429 with Retry-After
    watch     every request is written to it: when it came, when it was answered, the status, and how long we are asked to wait
"""

import os
import time

from kinto.core.errors import http_error
from kinto.core.storage import exceptions, memory
from pyramid import httpexceptions


class Storage(memory.Storage):
    """Kinto's own, in memory, and out of reach when the file says so."""


def _checked(name):
    method = getattr(memory.Storage, name)

    def checked(self, *args, **kwargs):
        if os.path.exists("down"):
            with open("down") as file:
                down, skip, times = file.read().split()
            skip, times = int(skip), int(times)
            if down == name and skip > 0:
                _write("down", f"{down} {skip - 1} {times}")
            elif down == name:
                os.remove("down") if times == 1 else _write("down", f"{down} 0 {times - 1}")
                raise exceptions.BackendError(message="the storage is down")
        return method(self, *args, **kwargs)

    return checked


def _write(name, text, mode="w"):
    with open(name, mode) as file:
        file.write(text)


for _name in ("create", "resource_timestamp"):
    setattr(Storage, _name, _checked(_name))


def load_from_config(config):
    return Storage()


_lately = []


def _refused():
    """The answer to a request that is one too many."""
    with open("limit") as file:
        most, seconds = map(int, file.read().split())
    now = time.monotonic()
    _lately[:] = [at for at in _lately if now - at < seconds]
    if len(_lately) < most:
        _lately.append(now)
        return None
    response = http_error(httpexceptions.HTTPTooManyRequests(), message="too many requests")
    response.headers["Retry-After"] = str(int(seconds - (now - _lately[0])) + 1)
    return response


def _note(came, response):
    wait = response.headers.get("Retry-After") or response.headers.get("Backoff") or 0
    _write("watch", f"{came} {time.monotonic()} {response.status_int} {wait}\n", "a")


def _trouble(handler, registry):
    def answer(request):
        came = time.monotonic()
        response = _refused() if os.path.exists("limit") else None
        response = response or handler(request)
        if os.path.exists("watch"):
            # Kinto adds Backoff on the way out.
            request.add_finished_callback(lambda _: _note(came, response))
        return response

    return answer


def includeme(config):
    # Outermost: it sees what is really answered.
    config.add_tween("trouble._trouble", over="pyramid.tweens.excview_tween_factory")
