"""What py-consul must be able to do here. Every line that it prints is a claim that held."""

import http.server
import sys
import threading
import time

import consul
from consul import Check

client = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))


def holds(claim):
    print("holds:", claim)


def waits_for(change, ask):
    """Asks, begins to wait for a change, makes it, and gives the new answer."""
    index, _ = ask()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ask(index=index, wait="20s")))
    began = time.monotonic()
    waiting.start()
    change()
    waiting.join(25)
    new, answer = answers[0]
    assert int(new) > int(index), (index, new)
    assert time.monotonic() - began < 15, "it was not woken"
    return answer


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


own = client.agent.self()
assert own["Config"]["Datacenter"] == "dc1" and own["Member"]["Status"] == 1, own
assert client.agent.members()[0]["Name"] == own["Config"]["NodeName"]
assert client.status.leader() and client.status.peers()
holds("the agent says who it is")

assert client.agent.service.register(
    "py", service_id="py-1", address="10.0.0.7", port=8080, tags=["v1"], meta={"zone": "eu-1"}, check=Check.ttl("30s")
)
assert client.agent.services()["py-1"]["Port"] == 8080
assert client.agent.service_definition("py-1")["Meta"] == {"zone": "eu-1"}
assert client.agent.checks()["service:py-1"]["Status"] == "critical"
holds("a service registers with a TTL check")

elsewhere = {"wan": {"address": "198.51.100.7", "port": 443}}
assert client.agent.service.register("tagged", address="10.0.0.7", port=8080, tagged_addresses=elsewhere)
told = client.catalog.service("tagged")[1][0]
assert told["ServiceTaggedAddresses"]["wan"] == {"Address": "198.51.100.7", "Port": 443}, told
assert (told["ServiceAddress"], told["ServicePort"]) == ("10.0.0.7", 8080), told
client.agent.service.deregister("tagged")
holds("addresses in other networks are told as they were given")

passing = lambda **options: client.health.service("py", passing=True, **options)
assert passing()[1] == []
nodes = waits_for(lambda: client.agent.check.ttl_pass("service:py-1", notes="fine"), passing)
assert [entry["Service"]["ID"] for entry in nodes] == ["py-1"], nodes
holds("a pass wakes who waits for passing instances")

nodes = waits_for(lambda: client.agent.check.ttl_warn("service:py-1"), passing)
assert nodes == [], nodes
client.agent.check.ttl_fail("service:py-1")
assert [check["CheckID"] for check in client.health.state("critical")[1]] == ["service:py-1"]
client.agent.check.ttl_pass("service:py-1")
assert client.health.checks("py")[1][0]["Status"] == "passing"
holds("warn and fail are seen")

server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
asked = lambda **options: client.health.service("asked", passing=True, **options)
nodes = waits_for(
    lambda: client.agent.service.register("asked", port=server.server_port, check=Check.http(url, "1s", timeout="1s")), asked
)
while not nodes:
    index, nodes = asked()
    if not nodes:
        _, nodes = asked(index=index, wait="20s")
assert nodes[0]["Checks"][-1]["Type"] == "http", nodes
holds("an HTTP check is asked")

assert client.agent.service.maintenance("py-1", True, "new disk")
assert passing()[1] == []
assert client.agent.service.maintenance("py-1", False)
assert client.agent.maintenance(True, "all of it") and passing()[1] == []
assert client.agent.maintenance(False) and len(passing()[1]) == 1
holds("maintenance takes instances out and back in")

assert client.catalog.datacenters() == ["dc1"]
assert client.catalog.services()[1] == {"py": ["v1"], "asked": []}, client.catalog.services()
assert client.catalog.service("py", tag="v1")[1][0]["ServiceAddress"] == "10.0.0.7"
assert client.catalog.service("py", tag="v2")[1] == []
node = client.catalog.nodes()[1][0]["Node"]
assert set(client.catalog.node(node)[1]["Services"]) == {"py-1", "asked"}
assert len(client.health.node(node)[1]) == 3
holds("the catalog lists all of it")

assert client.agent.check.register("memory", check=Check.ttl("30s"), service_id="py-1")
assert "memory" in client.agent.checks()
assert client.agent.check.deregister("memory")
assert "memory" not in client.agent.checks()
holds("a check comes and goes by itself")

assert waits_for(lambda: client.agent.service.deregister("py-1"), passing) == []
assert client.agent.service.deregister("asked") and client.agent.services() == {}
try:
    client.health.service("py", filter_expr="Service.Port == 1")
    raise AssertionError("a filter was ignored")
except consul.exceptions.BadRequest:
    pass
holds("a service goes")
