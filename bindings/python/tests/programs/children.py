"""Children of multiprocessing that evaluate and end without a shutdown. Arguments: url, start method, folder.

Each keeps its client in another place. Prints the users that were evaluated and, for each child, how long its end took.
"""

import concurrent.futures
import json
import multiprocessing
import pathlib
import sys
import time

kept = []
folder = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
options = {"event_flush_interval_ms": 60_000}


def made(url):
    # Only imported in the parent if the children inherit a client.
    from mpflags import Client

    client = Client.local("token", api_host=url, **options)
    client.start_polling_for_definitions()
    return client


def evaluate(client, user, ended):
    assert client.is_enabled("steady", {"distinct_id": user})
    pathlib.Path(ended).write_text(str(time.monotonic()))


def in_a_global(url, user, ended):
    global client
    client = made(url)
    evaluate(client, user, ended)


def in_a_closure(url, user, ended):
    client = made(url)
    kept.append(lambda: client)
    evaluate(client, user, ended)


def in_a_variable(url, user, ended):
    evaluate(made(url), user, ended)


def in_a_failure(url, user, ended):
    in_a_global(url, user, ended)
    sys.exit(3)


def in_a_grandchild(url, user, ended):
    # With the method that started the child.
    child = multiprocessing.Process(target=in_a_global, args=(url, user + "-grandchild", ended + "-grandchild"))
    child.start()
    child.join()
    began = float(pathlib.Path(ended + "-grandchild").read_text())
    pathlib.Path(ended + "-grandchild").write_text(str(time.monotonic() - began))
    in_a_global(url, user, ended)


def before_a_grandchild(url, user, ended):
    """The grandchild inherits the client where it is forked."""
    in_a_global(url, user, ended)
    child = multiprocessing.Process(target=again, args=(url, user + "-grandchild"))
    child.start()
    child.join()
    assert child.exitcode == 0


def again(url, user):
    client = globals().get("client") or made(url)
    kept.append(client)
    assert client.is_enabled("steady", {"distinct_id": user})


def inherited(url, user, ended):
    evaluate(inheritance, user, ended)


class Attribute:
    def __init__(self, url, user, ended):
        super().__init__()
        self.arguments = (url, user, ended)

    def run(self):
        url, user, ended = self.arguments
        self.client = made(url)
        evaluate(self.client, user, ended)


class InFork(Attribute, multiprocessing.context.ForkProcess):
    pass


class InSpawn(Attribute, multiprocessing.context.SpawnProcess):
    pass


class InForkserver(Attribute, multiprocessing.context.ForkServerProcess):
    pass


def begin_worker(url):
    global client
    client = made(url)


def work(user):
    assert client.is_enabled("steady", {"distinct_id": user})
    return user


def main(url, method):
    context = multiprocessing.get_context(method)

    users, ends = [], {}

    def run(name, make, exitcode=0):
        user, ended = f"{method}-{name}", str(folder / name)
        child = make(url, user, ended)
        child.start()
        child.join()
        over = time.monotonic()
        assert child.exitcode == exitcode, (name, child.exitcode)
        ends[name] = over - float(pathlib.Path(ended).read_text())
        users.append(user)

    def target(function):
        return lambda *arguments: context.Process(target=function, args=arguments)

    run("global", target(in_a_global))
    run("closure", target(in_a_closure))
    run("variable", target(in_a_variable))
    run("failure", target(in_a_failure), exitcode=3)
    run("child of a child", target(in_a_grandchild))
    users.append(f"{method}-child of a child-grandchild")
    ends["its child"] = float((folder / "child of a child-grandchild").read_text())
    run("before a child", target(before_a_grandchild))
    users.append(f"{method}-before a child-grandchild")
    # It kept the reference to its child.
    del ends["before a child"]
    run("attribute", {"fork": InFork, "spawn": InSpawn, "forkserver": InForkserver}[method])
    with concurrent.futures.ProcessPoolExecutor(
        2, mp_context=context, initializer=begin_worker, initargs=(url,)
    ) as pool:
        users += pool.map(work, [f"{method}-executor-{i}" for i in range(20)])
    pool = context.Pool(2, begin_worker, (url,))
    users += pool.map(work, [f"{method}-pool-{i}" for i in range(20)])
    pool.close()
    pool.join()
    assert "mpflags" not in sys.modules
    if method == "fork":
        global inheritance
        inheritance = made(url)
        run("inherited", target(inherited))
    print(json.dumps({"users": users, "ends": ends}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
