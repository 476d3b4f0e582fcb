// Tokens that live for seconds: the client fetches new ones, connection and subscription live on; without one they end.
import { assert, event, hears, makeClient, makeToken, newChannel, publish, until } from './scene.mjs';

let connectTokens = 0;
let channelTokens = 0;
const ended = [];
const client = makeClient({ token: '', getToken: async () => { connectTokens += 1; return makeToken(2); } });
client.on('disconnected', (context) => ended.push(context));
client.on('connecting', (context) => { if (context.code) ended.push(context); });
const channel = newChannel('');
const sub = client.newSubscription(channel, {
  getToken: async () => { channelTokens += 1; return makeToken(2, { channel }); },
});
sub.on('unsubscribed', (context) => ended.push(context));
const seen = [];
sub.on('publication', ({ data }) => seen.push(hears(data)));
client.connect();
sub.subscribe();
await event(sub, 'subscribed');
await until(() => connectTokens >= 3 && channelTokens >= 3, 'two refreshes of each token');
await publish(channel, 1);
await until(() => seen.length === 1, 'a publication after the refreshes');
assert.deepEqual(ended, []);

// The server ends what is not refreshed: the client resubscribes at once, which needs a token it does not get.
const forgetful = makeClient();
const given = newChannel('');
let asked = 0;
const short = forgetful.newSubscription(given, {
  getToken: async () => { asked += 1; if (asked > 1) throw new Error('no token today'); return makeToken(1, { channel: given }); },
});
short.on('error', () => {});
forgetful.connect();
short.subscribe();
await event(short, 'subscribed');
const lost = await event(short, 'subscribing');
assert.equal(lost.code, 2501);
client.disconnect();
forgetful.disconnect();
console.log('ok');
