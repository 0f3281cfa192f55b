"""redis-py 4's client for clusters: keys of all slots, pipelines and scripts with tags, pub/sub, reads from replicas; and all
of it goes on while slots move there and back, a node joins and leaves, and a primary is killed. with_cluster runs the servers."""

import logging
import os
import subprocess

from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, ClusterError, ConnectionError, RedisClusterException, ResponseError, TimeoutError

from checks import check, equal, eventually, holds, main, raises

SLOTS = 16384
DISTURB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "disturb")
logging.disable()  # it tells of each redirection


def connect(**options):
    nodes = [ClusterNode("127.0.0.1", port) for port in os.environ["CLUSTER_PORTS"].split(",")[:2]]
    return RedisCluster(
        startup_nodes=nodes, password=os.environ["CLUSTER_PASSWORD"], decode_responses=True, cluster_error_retry_attempts=30, **options
    )


def keys_of_all_slots():
    """A key for each slot; in braces it is a tag of that slot."""
    keys, number = {}, 0
    while len(keys) < SLOTS:
        keys.setdefault(key_slot(f"key{number}".encode()), f"key{number}")
        number += 1
    return keys


keys = keys_of_all_slots()
client = connect()


class Counter:
    """`value` was acknowledged, or was there; it was tried to make it `tries`."""

    def __init__(self, slot):
        self.key, self.pair = f"count:{{{keys[slot]}}}", [f"{letter}:{{{keys[slot]}}}" for letter in "ab"]
        self.value = self.tries = 0

    def attempt(self, least):
        self.tries += 1
        value = client.incr(self.key)
        holds(f"{self.key} is {value}, not in {least}..{self.tries}", least < value <= self.tries)
        self.value = value
        client.mset(dict.fromkeys(self.pair, value))
        equal([str(value)] * 2, client.mget(self.pair))


# Half of them are in the slots that move.
counters = [Counter(slot) for slot in [*range(0, 300, 10), *range(300, SLOTS, 500)]]


def run(documented, loses):
    """Goes once through all; how often it failed as the library documents. In a failover acknowledged writes may go, but not
    those that the replica had."""
    failures = 0
    for counter in counters:
        try:
            counter.attempt(loses.get(counter.key, counter.value))
        except Exception as error:  # whatever it is, it must be documented
            if not documented(error):
                raise
            failures += 1
    return failures


def load_during(phase, documented=lambda _: False, loses={}):
    """Goes on while this happens, and until the client is well again."""
    with subprocess.Popen([DISTURB, phase], stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            run(documented, loses)
        equal((0, ""), (process.returncode, process.stderr.read()))
    eventually("a round without a failure", lambda: run(documented, loses) == 0)


def assert_well():
    for counter in counters:
        holds(counter.key, counter.value <= int(client.get(counter.key)) <= counter.tries)
        holds(counter.pair, len(set(client.mget(counter.pair))) == 1)


def assert_values(first, step):
    for slot in range(first, SLOTS, step):
        equal(f"value {slot}", client.get(keys[slot]))


@check("keys of all slots are written and read")
def _():
    for slot in range(0, SLOTS, 1024):
        with client.pipeline() as pipe:
            for one in range(slot, slot + 1024):
                pipe.set(keys[one], f"value {one}")
            equal([True] * 1024, pipe.execute())
    assert_values(0, 1)


@check("commands and scripts take keys of one tag, and no others")
def _():
    equal(True, client.mset({"{tag}1": "one", "{tag}2": "two"}))
    equal(["one", "two"], client.mget("{tag}1", "{tag}2"))
    script = "redis.call('SET', KEYS[1], ARGV[1]); return {KEYS[2], redis.call('GET', KEYS[2])}"
    equal(["{tag}2", "two"], client.eval(script, 2, "{tag}1", "{tag}2", "new"))
    equal("new", client.get("{tag}1"))
    # By hand, as the client refuses it itself.
    node = client.get_node_from_key(keys[1])
    with raises(ResponseError, "CROSSSLOT|don't hash to the same slot"):
        node.redis_connection.mget(keys[1], keys[2])
    with raises(ResponseError, "non local key"):
        client.eval(f"return redis.call('GET', '{keys[SLOTS - 1]}')", 1, keys[1])


@check("messages reach subscribers at any node")
def _():
    for primary in client.get_primaries():
        listener = client.pubsub(node=primary)
        listener.subscribe("news")
        eventually("it listens", lambda: (listener.get_message() or {}).get("type") == "subscribe")
        client.publish("news", primary.name)
        eventually("the message", lambda: (listener.get_message() or {}).get("data") == primary.name)
        listener.close()


@check("replicas are read from")
def _():
    subprocess.run([DISTURB, "settle"], check=True)
    some = range(0, SLOTS, 500)

    def connect_to_replicas():
        reader = connect(read_from_replicas=True)
        if all(reader.get_node_from_key(keys[slot], replica=True) for slot in some):
            return reader
        reader.close()

    # The node that was asked may be the last to hear of a replica.
    reader = eventually("every slot has a replica", connect_to_replicas)
    for slot in some:
        equal(f"value {slot}", reader.get(keys[slot]))
        replica = reader.get_node_from_key(keys[slot], replica=True)
        equal("slave", replica.redis_connection.execute_command("ROLE")[0])
    reader.close()


@check("a client goes on while slots move there and back")
def _():
    load_during("reshard")
    assert_well()
    assert_values(0, 10)


def may_be_said_in_resize(error):
    """It does not know the node of an ASK before that node has a slot."""
    return isinstance(error, AttributeError) and "NoneType" in str(error)


@check("a client goes on while a node joins, gets slots, gives them back and leaves")
def _():
    load_during("resize", may_be_said_in_resize)
    assert_well()
    assert_values(300, 100)


def may_be_said_in_failover(error):
    return isinstance(error, (ConnectionError, TimeoutError, ClusterDownError, ClusterError, RedisClusterException))


@check("a client follows when a primary is killed and its replica takes over")
def _():
    subprocess.run([DISTURB, "settle"], check=True)
    settled = {counter.key: counter.value for counter in counters}
    load_during("kill", may_be_said_in_failover, settled)
    for counter in counters:
        counter.value = counter.tries = int(client.get(counter.key))
    load_during("settle")
    assert_well()
    assert_values(0, 50)


main(client.close)
