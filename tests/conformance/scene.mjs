// What the scripts beside this one share: a client in the format under test, tokens, the server's HTTP interface.
// Environment: BASE (http://…), FORMAT (json | protobuf), TRANSPORT (websocket | http_stream | sse).
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import WebSocket from 'ws';

const { BASE, FORMAT, TRANSPORT } = process.env;
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

const cuts = [];
export let bytesReceived = 0;

class WatchedSocket extends WebSocket {
  constructor(...words) {
    super(...words);
    cuts.push(() => this.terminate());
    this.on('message', (data) => { bytesReceived += data.length ?? data.byteLength; });
  }
}

async function watchedFetch(url, request) {
  const lost = new AbortController();
  const signal = request.signal ? AbortSignal.any([request.signal, lost.signal]) : lost.signal;
  const answer = await fetch(url, { ...request, signal });
  if (!url.endsWith('/http_stream')) return answer;
  cuts.push(() => lost.abort());
  const counter = new TransformStream({
    transform(bytes, onward) { bytesReceived += bytes.length; onward.enqueue(bytes); },
  });
  return new Response(answer.body.pipeThrough(counter), answer);
}

// Node 20 has no EventSource; what the SDK needs of one, over fetch.
class WatchedEvents {
  constructor(url) {
    this.lost = new AbortController();
    this.closed = false;
    cuts.push(() => this.lost.abort());
    this.read(url);
  }

  async read(url) {
    try {
      const answer = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal: this.lost.signal });
      assert.equal(answer.status, 200);
      this.onopen?.();
      const stream = new TextDecoder();
      let text = '';
      for await (const bytes of answer.body) {
        bytesReceived += bytes.length;
        text += stream.decode(bytes, { stream: true });
        const events = text.split('\n\n');
        text = events.pop();
        for (const event of events) {
          const lines = event.split('\n').filter((line) => line.startsWith('data: '));
          if (!this.closed && lines.length) this.onmessage?.({ data: lines.map((line) => line.slice(6)).join('\n') });
        }
      }
    } catch { /* as at the end of the stream */ }
    if (!this.closed) this.onerror?.({});
  }

  close() {
    this.closed = true;
    this.lost.abort();
  }
}

const endpoint = TRANSPORT !== 'websocket'
  ? [{ transport: TRANSPORT, endpoint: `${BASE}/connection/${TRANSPORT}` }]
  : BASE.replace('http', 'ws') + '/connection/websocket';

export function makeClient(options = {}) {
  const client = new Centrifuge(endpoint, {
    websocket: WatchedSocket, fetch: watchedFetch, readableStream: ReadableStream,
    eventsource: WatchedEvents,
    emulationEndpoint: BASE + '/emulation', token: makeToken(), minReconnectDelay: 50, maxReconnectDelay: 100, ...options,
  });
  client.on('error', (context) => console.error('client error', context));
  return client;
}

export const cut = () => cuts.at(-1)();

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
