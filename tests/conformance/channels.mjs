// What a subscription offers: publish, history, presence, joins and leaves, a tags filter, the personal channel, refusals.
import { api, assert, event, hears, makeClient, newChannel, publish, says, until, user } from './scene.mjs';

const one = makeClient();
const two = makeClient();
const channel = newChannel();
const sub = one.newSubscription(channel);
const other = two.newSubscription(channel);
const seen = [];
const came = [];
const went = [];
sub.on('publication', (context) => seen.push(context));
sub.on('join', ({ info }) => came.push(info.client));
sub.on('leave', ({ info }) => went.push(info.client));
const personal = [];
one.on('publication', ({ channel: name, data }) => personal.push([name, hears(data)]));
one.connect();
sub.subscribe();
const { client: oneId } = await event(one, 'connected');
await event(sub, 'subscribed');
two.connect();
other.subscribe();
const { client: twoId } = await event(two, 'connected');
await event(other, 'subscribed');
await until(() => came.length === 2, 'two joins');
assert.deepEqual(came, [oneId, twoId]);

await other.publish(says({ text: 'salut é€' }));
await until(() => seen.length === 1, 'a publication');
assert.deepEqual(hears(seen[0].data), { text: 'salut é€' });
assert.deepEqual([seen[0].info.user, seen[0].info.client], [user, twoId]);

const presence = await sub.presence();
assert.deepEqual(Object.keys(presence.clients).sort(), [oneId, twoId].sort());
const stats = await sub.presenceStats();
assert.deepEqual([stats.numClients, stats.numUsers], [2, 1]);
other.unsubscribe();
await until(() => went.length === 1, 'a leave');
assert.deepEqual(went, [twoId]);

for (let number = 2; number <= 5; number += 1) await publish(channel, { number });
const position = await sub.history({ limit: 0 });
assert.deepEqual([position.offset, position.publications.length], [5, 0]);
const page = await sub.history({ limit: 2, since: { offset: 2, epoch: position.epoch } });
assert.deepEqual(page.publications.map((publication) => publication.offset), [3, 4]);
const back = await sub.history({ limit: 3, reverse: true });
assert.deepEqual(back.publications.map((publication) => publication.offset), [5, 4, 3]);
await assert.rejects(sub.history({ limit: 1, since: { offset: 1, epoch: 'another' } }), { code: 112 });

await publish(`#${user}`, 'for you');
await until(() => personal.length === 1, 'the personal channel');
assert.deepEqual(personal[0], [`#${user}`, 'for you']);

const sales = one.newSubscription(newChannel(), { tagsFilter: { key: 'kind', cmp: 'eq', val: 'sale' } });
const sold = [];
sales.on('publication', ({ data }) => sold.push(hears(data)));
sales.subscribe();
await event(sales, 'subscribed');
for (let number = 1; number <= 6; number += 1) {
  await publish(sales.channel, number, { kind: number % 3 ? 'bid' : 'sale' });
}
await until(() => sold.length === 2, 'two sales');
assert.deepEqual(sold, [3, 6]);

const forbidden = one.newSubscription(newChannel(''));
forbidden.subscribe();
assert.equal((await event(forbidden, 'unsubscribed')).code, 103);
await assert.rejects(one.rpc('anything', says({})), { code: 108 });
await assert.rejects(two.publish(newChannel(''), says(1)), { code: 103 });

const server = newChannel();
const begun = event(one, 'subscribed');
await api('subscribe', { user, channel: server });
assert.equal((await begun).channel, server);
await publish(server, 'from the server');
await until(() => personal.length === 2, 'a server-side subscription');
assert.deepEqual(personal[1], [server, 'from the server']);
const finished = event(one, 'unsubscribed');
await api('unsubscribe', { user, channel: server });
assert.equal((await finished).channel, server);

one.disconnect();
two.disconnect();
console.log('ok');
