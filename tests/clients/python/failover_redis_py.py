"""redis-py 4 through Sentinel: it finds the primary, and follows when another server takes over, because the primary was
killed or by hand. What was acknowledged with WAIT 1 is still there. with_group runs the servers."""

import os
import signal

from redis.exceptions import ReadOnlyError, RedisError
from redis.sentinel import Sentinel

from checks import check, equal, eventually, holds, main, raises

GROUP = "sessions"
ENOUGH = 100  # writes before the kill, and once more after it
sentinel = Sentinel(
    [("127.0.0.1", int(port)) for port in os.environ["SENTINELS"].split(",")],
    password=os.environ["GROUP_PASSWORD"],
    decode_responses=True,
)
client = sentinel.master_for(GROUP)
saved = []


def primary_port():
    return sentinel.discover_master(GROUP)[1]


def save(key, value):
    """On one connection, in one go: elsewhere WAIT would say nothing about the write before it."""
    with client.pipeline(transaction=False) as pipe:
        return pipe.set(key, value).wait(1, 2000).execute()[1]


def if_possible(run):
    """None while nobody is primary: to be tried again."""
    try:
        return run()
    except RedisError:
        return None


def write():
    number = len(saved)
    if (if_possible(lambda: save(f"key:{number}", f"value {number}")) or 0) >= 1:
        saved.append(number)


@check("the primary is found by the name of its group, and its replicas")
def _():
    holds("a replica has it", save("k", "v") >= 1)
    equal(primary_port(), client.info()["tcp_port"])
    equal("master", client.execute_command("ROLE")[0])
    equal(2, len(sentinel.discover_slaves(GROUP)))
    replica = sentinel.slave_for(GROUP)
    equal("slave", replica.info()["role"])
    eventually("the value at the replica", lambda: replica.get("k") == "v")
    with raises(ReadOnlyError, "read only replica"):
        replica.set("k", "w")
    replica.close()


@check("a client follows when the primary is killed, and nothing acknowledged is lost")
def _():
    first = primary_port()
    heard = []
    listener = client.pubsub()
    listener.subscribe(news=heard.append)
    thread = listener.run_in_thread(sleep_time=0.05, daemon=True, exception_handler=lambda *_: None)
    eventually("a message before", lambda: client.publish("news", "before") >= 1 and heard)
    while len(saved) < ENOUGH:
        write()
    with open(f"{os.environ['GROUP_DIR']}/{first}/pid", encoding="ascii") as pid:
        os.kill(int(pid.read()), signal.SIGKILL)
    eventually("enough writes after", lambda: write() or len(saved) >= 2 * ENOUGH)
    holds("another primary", primary_port() != first)
    equal(primary_port(), client.info()["tcp_port"])
    for number in saved:
        equal(f"value {number}", client.get(f"key:{number}"))
    heard.clear()
    eventually("a message after", lambda: if_possible(lambda: client.publish("news", "after")) and heard)
    thread.stop()


@check("a client follows a failover by hand, and no connection stays with the old primary")
def _():
    old = primary_port()
    eventually("Sentinel begins", lambda: if_possible(lambda: sentinel.sentinels[0].sentinel_failover(GROUP)))
    eventually("another primary", lambda: primary_port() != old)
    eventually("a write", lambda: if_possible(lambda: save("moved", "v") >= 1))
    equal(primary_port(), client.info()["tcp_port"])
    equal("v", client.get("k"))


main(client.close)
