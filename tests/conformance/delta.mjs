// Deltas: the same payloads as without, in far fewer bytes, also behind a cut.
import * as scene from './scene.mjs';

const { assert, cut, event, hears, makeClient, newChannel, publish, until } = scene;
const filler = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`field ${n} é€😀`, n * 7919]));
const lot = (number) => ({ number, ...filler, last: `${'€'.repeat(number % 7)}${number}` });
const total = 30;

async function follow(delta) {
  const client = makeClient();
  const channel = newChannel('delta:');
  const sub = client.newSubscription(channel, delta ? { delta: 'fossil' } : {});
  const seen = [];
  sub.on('publication', ({ data }) => seen.push(hears(data)));
  client.connect();
  sub.subscribe();
  await event(sub, 'subscribed');
  const before = scene.bytesReceived;
  for (let number = 1; number <= total; number += 1) {
    await publish(channel, lot(number));
    if (number === total / 2) {
      const again = event(sub, 'subscribed');
      cut();
      await publish(channel, lot(number += 1));
      await publish(channel, lot(number += 1));
      await again;
    }
  }
  await until(() => seen.length === total, `${seen.length} of ${total}`);
  assert.deepEqual(seen, Array.from({ length: total }, (_, index) => lot(index + 1)));
  client.disconnect();
  return scene.bytesReceived - before;
}

const whole = await follow(false);
const deltas = await follow(true);
assert.ok(deltas * 3 < whole, `${deltas} bytes with deltas, ${whole} without`);
console.log('ok');
