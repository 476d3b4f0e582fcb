// The official SDK as a puppet of the tests: options as JSON in the first argument, one JSON command a line on stdin,
// one JSON event a line on stdout.
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

const options = JSON.parse(process.argv[2]);
const { Centrifuge } = await import(options.protobuf ? 'centrifuge/build/protobuf' : 'centrifuge');
const tell = (event, facts) => process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
const read = (data) => (data instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(data)) : data);
const write = (data) => (options.protobuf ? new TextEncoder().encode(JSON.stringify(data)) : data);

// Every request and event stream can be lost on command, without a goodbye.
let lost = new AbortController();
const posts = [];
const cuttableFetch = (url, request) => {
  if (String(url).endsWith('/emulation')) posts.push(String(url));
  return fetch(url, { ...request, signal: AbortSignal.any([request.signal, lost.signal]) });
};

// Node has no EventSource; this one does what the SDK asks of a browser's.
class EventStream {
  constructor(url) {
    this.leaving = new AbortController();
    this.read(url).catch((error) => !this.leaving.signal.aborted && this.onerror(error));
  }

  async read(url) {
    const signal = AbortSignal.any([this.leaving.signal, lost.signal]);
    const answer = await fetch(url, { headers: { Accept: 'text/event-stream' }, signal });
    if (!answer.ok || !answer.headers.get('content-type').startsWith('text/event-stream')) {
      throw new Error(`not a stream of events: ${answer.status}`);
    }
    this.onopen({});
    let text = '';
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      text += piece;
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) {
        const data = event.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
        if (data.length) this.onmessage({ data: data.join('\n') });
      }
    }
    throw new Error('the stream ended');
  }

  close() {
    this.leaving.abort();
  }
}

const client = new Centrifuge(options.transports, {
  token: options.token ?? '',
  emulationEndpoint: options.emulation,
  websocket: WebSocket,
  fetch: cuttableFetch,
  eventsource: EventStream,
  readableStream: ReadableStream,
  minReconnectDelay: 50,
  maxReconnectDelay: 300,
});
client.on('connected', ({ transport, client: id }) => tell('connected', { transport, id }));
client.on('connecting', ({ code, reason }) => tell('connecting', { code, reason }));
client.on('disconnected', ({ code, reason }) => tell('disconnected', { code, reason }));
client.on('error', ({ error }) => tell('error', { code: error.code, message: error.message }));
client.on('publication', ({ channel, offset, data }) => tell('personal', { channel, offset, data: read(data) }));

const commands = {
  connect: () => client.connect(),
  async rpc({ method, data }) {
    try {
      tell('answer', { data: read((await client.rpc(method, write(data))).data) });
    } catch ({ code, message, temporary }) {
      tell('refused', { code, message, temporary });
    }
  },
  subscribe({ channel }) {
    const subscription = client.newSubscription(channel);
    subscription.on('subscribed', ({ wasRecovering, recovered }) => tell('subscribed', { wasRecovering, recovered }));
    subscription.on('unsubscribed', ({ code, reason }) => tell('unsubscribed', { code, reason }));
    subscription.on('publication', ({ offset, data }) => tell('publication', { offset, data: read(data) }));
    subscription.subscribe();
  },
  unsubscribe({ channel }) {
    client.getSubscription(channel).unsubscribe();
  },
  cut() {
    const broken = lost;
    lost = new AbortController();
    broken.abort();
  },
  posts: () => tell('posts', { urls: [...new Set(posts)] }),
  disconnect: () => client.disconnect(),
};
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { do: name, ...facts } = JSON.parse(line);
    commands[name](facts);
  })
  .on('close', () => process.exit(0));
