// Sends what a Node program asks of a provider's fixed host to a server on loopback: `node --require`d by tokens_results.py.
// TOKENS_HOSTS is a JSON object {"api.github.com": "http://127.0.0.1:4001"}; any other host but loopback is refused.
"use strict";

const http = require("node:http");
const https = require("node:https");
const { syncBuiltinESMExports } = require("node:module");

const hosts = JSON.parse(process.env.TOKENS_HOSTS || "{}");
const local = ["127.0.0.1", "localhost"];

function place(address) {
  const url = new URL(address);
  if (local.includes(url.hostname)) return url;
  const given = hosts[url.hostname];
  if (!given) throw new Error(`tokens_preload: ${url.hostname} is not known`);
  const base = new URL(given);
  url.protocol = base.protocol;
  url.host = base.host;
  return url;
}

// emulate's Slack takes POST alone, where Slack takes reads by GET too.
function posted(url, init) {
  const form = url.searchParams.toString();
  url.search = "";
  const headers = new Headers(init.headers);
  headers.set("content-type", "application/x-www-form-urlencoded");
  return [url, { ...init, method: "POST", headers, body: form }];
}

const fetched = globalThis.fetch;
globalThis.fetch = async (input, init = {}) => {
  const request = input instanceof Request;
  const from = new URL(request ? input.url : input);
  const url = place(from);
  if (request) return fetched(new Request(url, input), init);
  if (from.hostname === "slack.com" && (init.method || "GET") === "GET") return fetched(...posted(url, init));
  return fetched(url, init);
};

function sent(plain) {
  return (first, second, third) => {
    const known = typeof first === "string" || first instanceof URL;
    const options = { ...(known ? second : first) };
    const call = [second, third].find((each) => typeof each === "function");
    const host = options.hostname || String(options.host || "").split(":")[0];
    const port = options.port ? `:${options.port}` : "";
    const url = place(known ? first : `${options.protocol || "https:"}//${host}${port}${options.path || "/"}`);
    for (const name of ["agent", "agents", "host", "servername", "href", "defaultPort"]) delete options[name];
    if (options.headers) {
      options.headers = Object.fromEntries(Object.entries(options.headers).filter(([name]) => name.toLowerCase() !== "host"));
    }
    const to = { ...options, protocol: "http:", hostname: url.hostname, port: url.port, path: url.pathname + url.search };
    return plain(to, call);
  };
}

https.request = sent(http.request);
https.get = (...given) => {
  const request = https.request(...given);
  request.end();
  return request;
};
syncBuiltinESMExports();
