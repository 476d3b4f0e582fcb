// What the scripts beside this one share: a client in the format under test, tokens, the server's HTTP interface.
// Environment: BASE (http://…), FORMAT (json | protobuf).
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import WebSocket from 'ws';

const { BASE, FORMAT } = process.env;
const { Centrifuge } = await import(FORMAT === 'protobuf' ? 'centrifuge/build/protobuf' : 'centrifuge');
const binary = FORMAT === 'protobuf';
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const user = `user-${randomUUID()}`;
export const newChannel = (prefix = 'recovery:') => prefix + randomUUID();
export const says = (data) => (binary ? encoder.encode(JSON.stringify(data)) : data);
export const hears = (data) => (binary ? JSON.parse(decoder.decode(data)) : data);

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function makeToken(ttl_s, claims = {}) {
  const payload = { sub: user, ...claims };
  if (ttl_s) payload.exp = Math.floor(Date.now() / 1000) + ttl_s;
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(payload)}`;
  return `${body}.${createHmac('sha256', 'secret').update(body).digest('base64url')}`;
}

export const sockets = [];
export let bytesReceived = 0;

class WatchedSocket extends WebSocket {
  constructor(...words) {
    super(...words);
    sockets.push(this);
    this.on('message', (data) => { bytesReceived += data.length ?? data.byteLength; });
  }
}

export function makeClient(options = {}) {
  const client = new Centrifuge(BASE.replace('http', 'ws') + '/connection/websocket', {
    websocket: WatchedSocket, token: makeToken(), minReconnectDelay: 50, maxReconnectDelay: 100, ...options,
  });
  client.on('error', (context) => console.error('client error', context));
  return client;
}

export const cut = () => sockets.at(-1).terminate();

export async function api(verb, command) {
  const answer = await fetch(`${BASE}/api/${verb}`, {
    method: 'POST', headers: { 'X-API-Key': 'test-api-key' }, body: JSON.stringify(command),
  });
  const { result, error } = await answer.json();
  assert.equal(error, undefined);
  return result;
}

export const publish = (channel, data, tags) => api('publish', { channel, data, tags });

export async function until(condition, what, within_ms = 8000) {
  const end = Date.now() + within_ms;
  while (!condition()) {
    assert.ok(Date.now() < end, `timed out: ${what}`);
    await new Promise((go) => setTimeout(go, 5));
  }
}

export const event = (emitter, name) => new Promise((go) => emitter.once(name, go));
export { assert };
