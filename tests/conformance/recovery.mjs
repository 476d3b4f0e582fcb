// A connection that is cut again and again: every publication arrives once, in order, and each cut is recovered from.
import { api, assert, cut, event, hears, makeClient, newChannel, publish, until, user } from './scene.mjs';

const client = makeClient();
const channel = newChannel();
const sub = client.newSubscription(channel);
const numbers = [];
const recovered = [];
sub.on('publication', ({ data }) => numbers.push(hears(data).number));
sub.on('subscribed', (context) => { if (context.wasRecovering) recovered.push(context.recovered); });
client.connect();
sub.subscribe();
await event(sub, 'subscribed');

const total = 60;
for (let number = 1; number <= total; number += 1) {
  await publish(channel, { number });
  if (number % 15 === 0) {
    const again = event(sub, 'subscribed');
    cut();
    for (let missed = 0; missed < 3; missed += 1) { number += 1; await publish(channel, { number }); }
    await again;
  }
}
await until(() => numbers.length >= total, `${numbers.length} of ${total}`);
assert.deepEqual(numbers, Array.from({ length: numbers.length }, (_, index) => index + 1));
assert.ok(recovered.length >= 3);
assert.ok(recovered.every(Boolean));

const left = event(sub, 'unsubscribed');
await api('unsubscribe', { user, channel });
assert.equal((await left).code, 2000);
const over = event(client, 'disconnected');
await api('disconnect', { user });
assert.equal((await over).code, 3503);
console.log('ok');
