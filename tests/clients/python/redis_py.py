"""redis-py 4: registered scripts, locks, pipelines and functions, as Python applications use them."""

import hashlib
import os
import threading
import time

import redis
from redis.exceptions import LockError, LockNotOwnedError, NoScriptError, ResponseError
from redis.lock import Lock

from checks import check, equal, eventually, holds, main, raises

URL = os.environ["CACHE_URL"]
client = redis.Redis.from_url(URL, decode_responses=True)

COUNT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
LIBRARY = """#!lua name=shop
redis.register_function('shop_add', function(keys, args)
  return redis.call('HINCRBY', keys[1], args[1], args[2])
end)
redis.register_function{
  function_name = 'shop_count',
  description = 'How many things there are.',
  flags = { 'no-writes' },
  callback = function(keys) return redis.call('HLEN', keys[1]) end,
}
"""


def fresh():
    client.flushall()
    client.script_flush()


def in_threads(count, run):
    """Runs run(i) in that many threads and returns what they returned, or raises what one of them raised."""
    results, errors = [None] * count, []

    def call(i):
        try:
            results[i] = run(i)
        except Exception as error:  # handed on below
            errors.append(error)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def table(flat):
    return dict(zip(flat[::2], flat[1::2]))


@check("eval gives keys and arguments and converts what comes back")
def _():
    fresh()
    equal([["a", "b"], ["x", "1"]], client.eval("return {KEYS, ARGV}", 2, "a", "b", "x", 1))
    equal([1, 3, "two", None], client.eval("return {1, 3.99, 'two', false}", 0))
    equal([1, None], [client.eval("return true", 0), client.eval("return false", 0)])
    equal("fine", client.eval("return redis.status_reply('fine')", 0))
    raw = redis.Redis.from_url(URL)
    data = bytes(range(256)) * 1000
    equal(data, raw.eval("return ARGV[1]", 0, data))
    equal("READ", client.eval("return redis.call('GET', KEYS[1]) or 'READ'", 1, "none"))
    equal(1, client.eval_ro("return redis.call('EXISTS', KEYS[1]) + 1", 1, "none"))
    with raises(ResponseError, "Write commands are not allowed from read-only scripts"):
        client.eval_ro("return redis.call('SET', KEYS[1], 1)", 1, "k")
    raw.close()


@check("a registered script loads itself when the server does not know it")
def _():
    fresh()
    count = client.register_script(COUNT)
    equal(hashlib.sha1(COUNT.encode()).hexdigest(), count.sha)
    equal([False], client.script_exists(count.sha))
    equal(5, count(keys=["n"], args=[5]))
    equal([True, False], client.script_exists(count.sha, "0" * 40))
    equal(12, count(keys=["n"], args=[7]))
    equal(True, client.script_flush())
    with raises(NoScriptError, "No matching script"):
        client.evalsha(count.sha, 1, "n", 1)
    equal(13, count(keys=["n"], args=[1]))
    other = redis.Redis.from_url(URL.removesuffix("/0") + "/1")
    equal(1, count(keys=["n"], args=[1], client=other))
    equal("13", client.get("n"))
    other.flushdb()
    other.close()


@check("registered scripts in a pipeline and in a transaction are loaded before they run")
def _():
    count = client.register_script(COUNT)
    for transaction in (False, True):
        fresh()
        with client.pipeline(transaction=transaction) as pipe:
            pipe.set("k", "v")
            count(keys=["n"], args=[1], client=pipe)
            count(keys=["n"], args=[2], client=pipe)
            pipe.eval("return redis.call('GET', KEYS[1])", 1, "k")
            pipe.evalsha(count.sha, 1, "n", 3)
            equal([True, 1, 3, "v", 6], pipe.execute())
        with client.pipeline(transaction=transaction) as pipe:
            for _ in range(1000):
                count(keys=["n"], args=[1], client=pipe)
            equal(list(range(7, 1007)), pipe.execute())


@check("a failing script raises ResponseError with the server's words, in a pipeline at its place")
def _():
    fresh()
    client.set("text", "abc")
    incr = client.register_script("return redis.call('INCR', KEYS[1])")
    with raises(ResponseError, "not an integer or out of range"):
        incr(keys=["text"])
    with raises(ResponseError, "user_script:1: boom"):
        client.eval("error('boom')", 0)
    with raises(ResponseError, "^OWN words$"):
        client.eval("return redis.error_reply('OWN words')", 0)
    with raises(ResponseError, "Error compiling script"):
        client.script_load("return return")
    with client.pipeline(transaction=False) as pipe:
        incr(keys=["n"], client=pipe)
        incr(keys=["text"], client=pipe)
        incr(keys=["n"], client=pipe)
        one, error, two = pipe.execute(raise_on_error=False)
    equal([1, 2], [one, two])
    holds(f"an error: {error!r}", isinstance(error, ResponseError))
    equal("abc", client.get("text"))


@check("a lock has one owner")
def _():
    fresh()
    mine, other = (client.lock("lock", timeout=60) for _ in range(2))
    equal(True, mine.acquire())
    equal([True, True], [mine.locked(), mine.owned()])
    equal(False, other.acquire(blocking=False))
    equal([True, False], [other.locked(), other.owned()])
    holds("a time to live", 1 <= client.pttl("lock") <= 60_000)
    with raises(LockError, "Cannot release an unlocked lock"):
        other.release()
    mine.release()
    equal(False, mine.locked())
    equal(True, other.acquire(blocking=False, token="by hand"))
    equal("by hand", client.get("lock"))
    other.release()


@check("what another has taken over is neither freed, prolonged nor reset")
def _():
    fresh()
    mine = client.lock("lock", timeout=60)
    holds("taken", mine.acquire())
    client.set("lock", "another's")
    with raises(LockNotOwnedError, "Cannot extend a lock that's no longer owned"):
        mine.extend(10)
    with raises(LockNotOwnedError, "Cannot reacquire a lock that's no longer owned"):
        mine.reacquire()
    with raises(LockNotOwnedError, "Cannot release a lock that's no longer owned"):
        mine.release()
    equal(["another's", -1], [client.get("lock"), client.ttl("lock")])


@check("a lock is prolonged by or to a time, and reset to its own")
def _():
    fresh()
    lock = client.lock("lock", timeout=100)
    holds("taken", lock.acquire())
    equal(True, lock.extend(200))
    holds("300 seconds", 290_000 < client.pttl("lock") <= 300_000)
    equal(True, lock.extend(50, replace_ttl=True))
    holds("50 seconds", 40_000 < client.pttl("lock") <= 50_000)
    equal(True, lock.reacquire())
    holds("100 seconds", 90_000 < client.pttl("lock") <= 100_000)
    lock.release()
    for_ever = client.lock("lock")
    holds("taken", for_ever.acquire())
    equal(-1, client.ttl("lock"))
    with raises(LockError, "Cannot extend a lock with no timeout"):
        for_ever.extend(1)
    for_ever.release()


@check("a lock runs out, and whoever waits gets it or gives up in time")
def _():
    fresh()
    short = client.lock("lock", timeout=0.1)
    holds("taken", short.acquire())
    waiter = client.lock("lock", timeout=60, sleep=0.01, blocking_timeout=30)
    equal(True, waiter.acquire())
    with raises(LockNotOwnedError):
        short.release()
    began = time.monotonic()
    equal(False, client.lock("lock", sleep=0.01).acquire(blocking_timeout=0.1))
    holds("it waited", time.monotonic() - began >= 0.08)
    with raises(LockError, "Unable to acquire lock within the time specified"):
        with client.lock("lock", sleep=0.01, blocking_timeout=0.05):
            pass
    equal(True, waiter.owned())
    waiter.release()


@check("eight threads under one lock lose no count, though the scripts are flushed meanwhile")
def _():
    fresh()
    client.set("shared", 0)

    def work(i):
        for round in range(15):
            if (i, round) == (0, 7):
                client.script_flush()  # once only: redis-py tries a script again once
            with client.lock("lock", timeout=60, sleep=0.001, blocking_timeout=50):
                client.set("shared", int(client.get("shared")) + 1)

    in_threads(8, work)
    equal("120", client.get("shared"))
    equal(0, client.exists("lock"))


@check("a lock of one thread can be freed by another only if it is made for that")
def _():
    fresh()
    lock = Lock(client, "lock", timeout=60)
    holds("taken", lock.acquire())
    with raises(AttributeError, "token"):  # version 4.3 does not look whether there is one
        in_threads(1, lambda _: lock.release())
    lock.release()
    shared = Lock(client, "lock", timeout=60, thread_local=False)
    holds("taken", shared.acquire())
    in_threads(1, lambda _: shared.release())
    equal(0, client.exists("lock"))


@check("a transfer by script and one by WATCH do not disturb each other")
def _():
    fresh()
    client.mset({"a": 1000, "b": 1000})
    transfer = client.register_script(
        "redis.call('DECRBY', KEYS[1], ARGV[1]) return redis.call('INCRBY', KEYS[2], ARGV[1])"
    )

    def by_watch(pipe):
        amount = int(pipe.get("b"))
        pipe.multi()
        pipe.set("b", amount - 1)
        pipe.incrby("a", 1)

    def work(i):
        for _ in range(100):
            if i < 2:
                transfer(keys=["a", "b"], args=[1])
            else:
                client.transaction(by_watch, "b")

    in_threads(4, work)
    equal(["1000", "1000"], client.mget("a", "b"))


@check("functions are loaded, called, listed and deleted")
def _():
    fresh()
    client.function_flush()
    equal("shop", client.function_load(LIBRARY))
    equal([3, 1], [client.fcall("shop_add", 1, "cart", "apple", 3), client.fcall_ro("shop_count", 1, "cart")])
    library = table(client.function_list(library="sh*", withcode=True)[0])
    equal(["shop", "LUA", LIBRARY], [library[name] for name in ("library_name", "engine", "library_code")])
    functions = sorted((table(one) for one in library["functions"]), key=lambda one: one["name"])
    equal([("shop_add", []), ("shop_count", ["no-writes"])], [(one["name"], list(one["flags"])) for one in functions])
    equal("How many things there are.", functions[1]["description"])
    equal([], client.function_list(library="none"))
    with raises(ResponseError, "Library 'shop' already exists"):
        client.function_load(LIBRARY)
    equal("shop", client.function_load(LIBRARY.replace("'HLEN', keys[1]", "'EXISTS', keys[1]"), replace=True))
    equal(1, client.fcall("shop_count", 1, "cart"))
    with raises(ResponseError, "Can not execute a script with write flag using \\*_ro command"):
        client.fcall_ro("shop_add", 1, "cart", "apple", 1)
    with client.pipeline() as pipe:
        pipe.fcall("shop_add", 1, "cart", "pear", 2)
        pipe.hgetall("cart")
        equal([2, {"apple": "3", "pear": "2"}], pipe.execute())
    equal(True, client.function_delete("shop"))
    with raises(ResponseError, "Function not found"):
        client.fcall("shop_count", 1, "cart")


@check("functions are dumped and restored, by every policy")
def _():
    client.function_flush()
    raw = redis.Redis.from_url(URL)  # a dump is bytes
    raw.function_load(LIBRARY)
    dump = raw.function_dump()
    with raises(ResponseError, "Library shop already exists"):
        raw.function_restore(dump)
    equal(True, raw.function_restore(dump, "REPLACE"))
    raw.function_flush()
    equal([], raw.function_list())
    raw.function_load("#!lua name=other\nredis.register_function('other', function() return 1 end)")
    equal(True, raw.function_restore(dump, "APPEND"))
    equal(2, len(raw.function_list()))
    equal(True, raw.function_restore(dump, "FLUSH"))
    equal(1, len(raw.function_list()))
    equal(0, raw.fcall("shop_count", 1, "cart:none"))
    with raises(ResponseError, "DUMP payload version or checksum are wrong"):
        raw.function_restore(dump[:-1] + bytes([dump[-1] ^ 1]))
    equal(LIBRARY, client.function_list(withcode=True)[0][-1])
    raw.function_flush()
    raw.close()


@check("statistics count libraries and functions, and show and kill the one that runs")
def _():
    client.function_flush()
    client.function_load(LIBRARY)
    client.function_load("#!lua name=endless\nredis.register_function('endless', function() while true do end end)")
    stats = table(client.function_stats())
    equal(None, stats["running_script"])
    engine = table(stats["engines"])["LUA"]
    equal({"libraries_count": 2, "functions_count": 3}, table(engine))
    with raises(ResponseError, "^No scripts in execution right now|^NOTBUSY"):
        client.function_kill()
    limit = client.config_get("busy-reply-threshold")["busy-reply-threshold"]
    client.config_set("busy-reply-threshold", 20)
    outcome = []

    def run():
        try:
            redis.Redis.from_url(URL).fcall("endless", 0)
        except ResponseError as error:
            outcome.append(str(error))

    def is_busy():
        try:
            client.ping()
        except ResponseError as error:
            return "BUSY" in f"{type(error).__name__} {error}".upper()

    thread = threading.Thread(target=run)
    thread.start()
    eventually("others hear that a function runs", is_busy)
    running = table(table(client.function_stats())["running_script"])
    equal(["endless", ["FCALL", "endless", "0"]], [running["name"], running["command"]])
    holds("it runs for some time", running["duration_ms"] >= 20)
    equal("OK", client.function_kill())
    thread.join()
    holds(f"it heard so: {outcome}", "killed by user" in outcome[0])
    client.config_set("busy-reply-threshold", limit)
    client.function_flush()
    equal([], client.function_list())


def finish():
    fresh()
    client.close()


main(finish)
