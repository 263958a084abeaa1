'use strict';

// The official RocketMQ 5 client for Node.js against a broker.
//
//   node main.js ADDRESS                 prints PASS/FAIL lines, the sum last; exit 1 if anything failed
//   node main.js orphan ADDRESS TOPIC KEY  sends one half message, prints "HALF KEY" and waits to be killed

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { randomBytes } = require('node:crypto');
const assert = require('node:assert/strict');
const { Producer, SimpleConsumer, PushConsumer, ConsumeResult } = require('rocketmq-client-nodejs');

const COMMIT = 1, ROLLBACK = 2, UNKNOWN = 0;
const run = randomBytes(4).toString('hex');
const normalTopic = process.env.NORMAL_TOPIC || `conf-node-normal-${run}`;
const transactionTopic = process.env.TRANSACTION_TOPIC || `conf-node-tx-${run}`;
const quiet = { debug() {}, info() {}, warn() {}, error: process.env.VERBOSE ? console.error : () => {}, close() {} };

const base = (address) => ({ endpoints: address, namespace: '', requestTimeout: 5000, logger: quiet });

/** What the checker of this process answers, by key; the calls it got. */
const decisions = new Map();
const checks = [];
const checker = {
  async check(view) {
    const key = view.keys[0];
    checks.push(key);
    return decisions.get(key) ?? UNKNOWN;
  },
};

const makeProducer = async (address, topics) => {
  const producer = new Producer({ ...base(address), topics, checker });
  await producer.startup();
  return producer;
};

const makeConsumer = async (address, topic, filter = '*') => {
  const consumer = new SimpleConsumer({
    ...base(address),
    consumerGroup: `conf-node-${randomBytes(4).toString('hex')}`,
    subscriptions: new Map([[topic, filter]]),
    awaitDuration: 5000,
  });
  await consumer.startup();
  await consumer.receive(1, 10000); // a new group sees what is sent after its first receive
  return consumer;
};

/** Receives and acknowledges until `wanted` messages came or `seconds` passed. */
const collect = async (consumer, wanted, seconds) => {
  const seen = [];
  const end = Date.now() + seconds * 1000;
  while (seen.length < wanted && Date.now() < end) {
    for (const view of await consumer.receive(16, 15000)) {
      seen.push(view);
      await consumer.ack(view);
    }
  }
  return seen;
};

const orphan = async (address, topic, key) => {
  const producer = await makeProducer(address, [topic]);
  const transaction = producer.beginTransaction();
  await producer.send({ topic, body: Buffer.from(key), keys: [key] }, transaction);
  console.log(`HALF ${key}`);
  await sleep(10 * 60 * 1000);
};

/** A process of its own leaves a half message behind: it is killed with SIGKILL before it decides. */
const leaveOrphan = async (address, topic, key) => {
  const child = spawn(process.execPath, [__filename, 'orphan', address, topic, key], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === `HALF ${key}`) break;
  }
  assert.equal(child.exitCode, null, 'the orphan was stored before its process ended');
  child.kill('SIGKILL');
  await exited;
};

const suites = (address) => {
  let producer;
  return {
    async start() {
      producer = await makeProducer(address, [normalTopic, transactionTopic]);
    },
    stop: async () => producer?.shutdown(),
    tests: {
      async 'normal messages arrive whole, once'() {
        const consumer = await makeConsumer(address, normalTopic);
        const sent = new Map();
        for (let i = 0; i < 20; i++) {
          const receipt = await producer.send({
            topic: normalTopic,
            tag: i % 2 ? 'odd' : 'even',
            keys: [`key-${i}`, 'run-' + run],
            properties: new Map([['number', String(i)], ['text', '订单 🚀']]),
            body: Buffer.from(JSON.stringify({ number: i, text: 'ü'.repeat(i) })),
          });
          assert.ok(receipt.messageId);
          sent.set(receipt.messageId, i);
        }
        const seen = await collect(consumer, 20, 30);
        assert.equal(new Set(seen.map((v) => v.messageId)).size, 20);
        for (const view of seen) {
          const i = sent.get(view.messageId);
          assert.equal(JSON.parse(view.body.toString()).number, i);
          assert.equal(view.tag, i % 2 ? 'odd' : 'even');
          assert.deepEqual(view.keys, [`key-${i}`, 'run-' + run]);
          assert.equal(view.properties.get('text'), '订单 🚀');
          assert.equal(view.properties.size, 2);
          assert.equal(view.deliveryAttempt, 1);
          assert.ok(!view.corrupted, 'the body digest is right');
        }
        assert.deepEqual(await consumer.receive(16, 15000), [], 'what was acknowledged does not come again');
        await consumer.shutdown();
      },
      async 'tags filter'() {
        const consumer = await makeConsumer(address, normalTopic, 'red || blue');
        for (const tag of ['red', 'green', 'Red', 'blue', undefined]) {
          await producer.send({ topic: normalTopic, tag, body: Buffer.from(String(tag)) });
        }
        const seen = await collect(consumer, 3, 8);
        assert.deepEqual(seen.map((v) => v.tag).sort(), ['blue', 'red']);
        await consumer.shutdown();
      },
      async 'an unacknowledged message comes again'() {
        const consumer = await makeConsumer(address, normalTopic);
        const { messageId } = await producer.send({ topic: normalTopic, body: Buffer.from('again') });
        const [first] = await consumer.receive(1, 10000);
        assert.equal(first.messageId, messageId);
        assert.equal(first.deliveryAttempt, 1);
        await sleep(10500);
        await assert.rejects(consumer.ack(first), /INVALID_RECEIPT_HANDLE|receipt/i);
        const [second] = await collect(consumer, 1, 30);
        assert.equal(second.messageId, messageId);
        assert.equal(second.deliveryAttempt, 2);
        await consumer.shutdown();
      },
      async 'a message can be given back'() {
        const consumer = await makeConsumer(address, normalTopic);
        const { messageId } = await producer.send({ topic: normalTopic, body: Buffer.from('give back') });
        const [first] = await consumer.receive(1, 60000);
        const before = first.receiptHandle;
        await consumer.changeInvisibleDuration(first, 1000);
        assert.ok(first.receiptHandle && first.receiptHandle !== before);
        const [second] = await collect(consumer, 1, 20);
        assert.equal(second.messageId, messageId);
        await consumer.shutdown();
      },
      async 'a push consumer acknowledges what succeeds and repeats what fails'() {
        const attempts = new Map();
        let heardProbe = false;
        const consumer = new PushConsumer({
          ...base(address),
          consumerGroup: `conf-node-push-${run}`,
          subscriptions: new Map([[normalTopic, 'push']]),
          messageListener: {
            async consume(view) {
              const n = (attempts.get(view.messageId) ?? 0) + 1;
              attempts.set(view.messageId, n);
              heardProbe ||= view.keys[0] === 'probe';
              return view.keys[0] === 'fails-once' && n === 1 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
            },
          },
        });
        await consumer.startup();
        // After its first assignment scan its group exists everywhere: it hears what is sent from then on.
        for (let i = 0; i < 120 && !heardProbe; i++) {
          await producer.send({ topic: normalTopic, tag: 'push', body: Buffer.from('probe'), keys: ['probe'] });
          await sleep(500);
        }
        assert.ok(heardProbe, 'the group listens');
        const good = await producer.send({ topic: normalTopic, tag: 'push', body: Buffer.from('good'), keys: ['good'] });
        const bad = await producer.send({ topic: normalTopic, tag: 'push', body: Buffer.from('bad'), keys: ['fails-once'] });
        for (let i = 0; i < 300 && (attempts.get(bad.messageId) ?? 0) < 2; i++) await sleep(100);
        assert.equal(attempts.get(good.messageId), 1);
        assert.equal(attempts.get(bad.messageId), 2);
        await consumer.shutdown();
      },
      async 'a half message is invisible until it is committed'() {
        const consumer = await makeConsumer(address, transactionTopic);
        const transaction = producer.beginTransaction();
        const receipt = await producer.send({ topic: transactionTopic, body: Buffer.from('commit me') }, transaction);
        assert.ok(receipt.transactionId);
        assert.deepEqual(await consumer.receive(16, 15000), [], 'before the commit');
        await transaction.commit();
        const seen = await collect(consumer, 1, 15);
        assert.deepEqual(seen.map((v) => [v.messageId, v.body.toString()]), [[receipt.messageId, 'commit me']]);
        await consumer.shutdown();
      },
      async 'a rolled back message is never seen'() {
        const consumer = await makeConsumer(address, transactionTopic);
        const transaction = producer.beginTransaction();
        await producer.send({ topic: transactionTopic, body: Buffer.from('never'), keys: ['never'] }, transaction);
        await transaction.rollback();
        assert.deepEqual(await collect(consumer, 1, 6), []);
        await consumer.shutdown();
      },
      async 'a check-back of a killed producer is answered by another'() {
        const consumer = await makeConsumer(address, transactionTopic);
        const commit = `orphan-commit-${run}`, rollback = `orphan-rollback-${run}`;
        decisions.set(commit, COMMIT).set(rollback, ROLLBACK);
        await Promise.all([commit, rollback].map((key) => leaveOrphan(address, transactionTopic, key)));
        const seen = await collect(consumer, 1, 90);
        assert.deepEqual(seen.map((v) => v.keys[0]), [commit]);
        for (let i = 0; i < 300 && !checks.includes(rollback); i++) await sleep(100);
        assert.ok(checks.includes(rollback), 'the other one was asked about, too');
        assert.deepEqual(await collect(consumer, 1, 6), []);
        await consumer.shutdown();
      },
      async 'bad input is refused by name'() {
        const send = (message) => producer.send({ topic: normalTopic, body: Buffer.from('x'), ...message });
        await assert.rejects(send({ tag: 'a|b' }), /vertical|tag|ILLEGAL_MESSAGE_TAG/i);
        await assert.rejects(send({ properties: new Map([['UNIQ_KEY', 'x']]) }), /ILLEGAL_MESSAGE_PROPERTY_KEY|40007|reserved/i);
        await assert.rejects(send({ body: Buffer.alloc(4 * 1024 * 1024 + 1) }), /TOO_LARGE|exceeds|41301/i);
      },
    },
  };
};

const main = async () => {
  const [first, ...rest] = process.argv.slice(2);
  if (first === 'orphan') return orphan(...rest);
  if (!first) throw new Error('usage: node main.js ADDRESS');
  const { start, stop, tests } = suites(first);
  await start();
  let passed = 0, failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
    try {
      await test();
      passed++;
      console.log(`PASS node: ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAIL node: ${name}: ${String(error.message).replaceAll('\n', ' ').slice(0, 500)}`);
    }
  }
  await stop();
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed || !passed ? 1 : 0);
};

main().catch((error) => {
  console.log(`FAIL node: ${error.message}`);
  console.log('0 passed, 1 failed');
  process.exit(1);
});
