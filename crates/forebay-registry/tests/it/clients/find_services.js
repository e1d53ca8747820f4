// What npm's consul must be able to do here. Every line that it prints is a claim that held.

"use strict";

const assert = require("node:assert");
const events = require("node:events");
const http = require("node:http");
const Consul = require("consul");

const client = new Consul({ host: "127.0.0.1", port: Number(process.argv[2]) });
const holds = (claim) => console.log("holds:", claim);

// Asks, begins to wait for a change, makes it, and gives the new answer.
async function waitsFor(change, ask) {
  const [first] = await ask({});
  const index = first.headers["x-consul-index"];
  const began = Date.now();
  const waiting = ask({ index, wait: "20s" });
  await change();
  const [response, answer] = await waiting;
  assert(BigInt(response.headers["x-consul-index"]) > BigInt(index));
  assert(Date.now() - began < 15_000, "it was not woken");
  return answer;
}

// The next answers of a watch, until one is as wanted.
function watched(method, options, wanted) {
  return new Promise((resolve, reject) => {
    const watch = client.watch({ method, options });
    watch.on("change", (data) => {
      if (wanted(data)) {
        watch.end();
        resolve(data);
      }
    });
    watch.on("error", reject);
  });
}

async function main() {
  const self = await client.agent.self();
  assert.equal(self.Config.Datacenter, "dc1");
  assert.equal((await client.agent.members())[0].Name, self.Config.NodeName);
  assert((await client.status.leader()).includes(":"));
  assert.equal((await client.status.peers()).length, 1);
  holds("the agent says who it is");

  await client.agent.service.register({
    name: "js", id: "js-1", address: "10.0.0.7", port: 8080, tags: ["v1"], meta: { zone: "eu-1" },
    check: { ttl: "30s", status: "critical", deregistercriticalserviceafter: "10m" },
  });
  assert.equal((await client.agent.service.list())["js-1"].Port, 8080);
  assert.equal((await client.agent.check.list())["service:js-1"].Status, "critical");
  holds("a service registers with a TTL check");

  const passing = async (options) => {
    // The client gives the response beside its body to such a context only.
    const ctx = Object.assign(new events.EventEmitter(), { includeResponse: true });
    return await client.health.service({ service: "js", passing: true, ctx, ...options });
  };
  let nodes = await waitsFor(() => client.agent.check.pass({ id: "service:js-1", note: "fine" }), passing);
  assert.deepEqual(nodes.map((entry) => entry.Service.ID), ["js-1"]);
  holds("a pass wakes who waits for passing instances");

  nodes = await waitsFor(() => client.agent.check.warn("service:js-1"), passing);
  assert.deepEqual(nodes, []);
  await client.agent.check.fail("service:js-1");
  assert.deepEqual((await client.health.state("critical")).map((check) => check.CheckID), ["service:js-1"]);
  await client.agent.check.pass("service:js-1");
  assert.equal((await client.health.checks("js"))[0].Status, "passing");
  holds("warn and fail are seen");

  const server = http.createServer((_, response) => response.end());
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = server.address().port;
  await client.agent.service.register({
    name: "asked", port, checks: [{ http: `http://127.0.0.1:${port}/`, interval: "1s", timeout: "1s" }],
  });
  nodes = await watched(client.health.service, { service: "asked", passing: true }, (found) => found.length === 1);
  assert.equal(nodes[0].Checks.at(-1).Type, "http");
  server.close();
  server.closeAllConnections();
  holds("an HTTP check is asked, and a watch sees it");

  const count = async () => (await client.health.service({ service: "js", passing: true })).length;
  await client.agent.service.maintenance({ id: "js-1", enable: true, reason: "new disk" });
  assert.equal(await count(), 0);
  await client.agent.service.maintenance({ id: "js-1", enable: false });
  await client.agent.maintenance({ enable: true, reason: "all of it" });
  assert.equal(await count(), 0);
  await client.agent.maintenance({ enable: false });
  assert.equal(await count(), 1);
  holds("maintenance takes instances out and back in");

  assert.deepEqual(await client.catalog.datacenters(), ["dc1"]);
  assert.deepEqual(await client.catalog.service.list(), { js: ["v1"], asked: [] });
  assert.equal((await client.catalog.service.nodes({ service: "js", tag: "v1" }))[0].ServiceAddress, "10.0.0.7");
  assert.deepEqual(await client.catalog.service.nodes({ service: "js", tag: "v2" }), []);
  const node = (await client.catalog.node.list())[0].Node;
  assert.deepEqual(Object.keys((await client.catalog.node.services(node)).Services).sort(), ["asked", "js-1"]);
  assert.equal((await client.health.node(node)).length, 3);
  holds("the catalog lists all of it");

  await client.agent.check.register({ name: "memory", ttl: "30s", serviceid: "js-1" });
  assert("memory" in (await client.agent.check.list()));
  await client.agent.check.deregister("memory");
  assert(!("memory" in (await client.agent.check.list())));
  holds("a check comes and goes by itself");

  assert.deepEqual(await waitsFor(() => client.agent.service.deregister("js-1"), passing), []);
  await client.agent.service.deregister("asked");
  assert.deepEqual(await client.agent.service.list(), {});
  await assert.rejects(client.kv.get("a"), /no key-value store/);
  holds("a service goes");
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
