"""The smallest test runner: named checks, all of them run, a non-zero exit status if one failed."""

import os
import re
import signal
import sys
import time
import traceback

PATIENCE = int(os.environ.get("PATIENCE", "60"))  # seconds; only a hung server is that slow

_checks = []


def check(name):
    """Decorator: the function is a check with this name."""

    def register(run):
        _checks.append((name, run))
        return run

    return register


def equal(expected, actual):
    if expected != actual:
        raise AssertionError(f"expected {expected!r:.300}, got {actual!r:.300}")


def holds(what, value):
    if not value:
        raise AssertionError(f"does not hold: {what}")


class raises:
    """with raises(Type, pattern): the block must raise that, with a message in which the pattern is found."""

    def __init__(self, kind, pattern=""):
        self.kind, self.pattern = kind, pattern

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind is None:
            raise AssertionError(f"expected a {self.kind.__name__}")
        if not issubclass(kind, self.kind):
            return False
        if not re.search(self.pattern, str(error)):
            raise AssertionError(f"expected {self.pattern!r}, got {str(error)!r}") from error
        return True


def eventually(what, condition):
    """Waits until the function's result is true: for what another thread or the server does in the background."""
    deadline = time.monotonic() + PATIENCE / 2
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.01)
    return value


def main(finish):
    """Runs the checks, then finish(), and ends the program."""

    def too_late(*_):
        raise TimeoutError(f"no end within {PATIENCE} s")

    signal.signal(signal.SIGALRM, too_late)
    failed = 0
    for name, run in [*_checks, ("closing the connections", finish)]:
        signal.alarm(PATIENCE)
        try:
            run()
        except Exception as error:  # a check may fail in any way
            failed += 1
            print(f"FAILED: {name}\n  {type(error).__name__}: {error}", file=sys.stderr)
            print("".join(traceback.format_tb(error.__traceback__)[-5:]), file=sys.stderr)
        signal.alarm(0)
    print(f"{len(_checks)} checks, {failed} failed")
    sys.exit(0 if failed == 0 and _checks else 1)
