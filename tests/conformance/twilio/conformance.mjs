// Every check drives the unmodified client; what it throws and returns is what is judged. See run_twilio.sh.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import twilio from 'twilio';

const [phoneUrl, notifierUrl] = process.argv.slice(2);
const sid = process.env.TWILIO_ACCOUNT_SID ?? 'AC00000000000000000000000000000000';
const token = process.env.TWILIO_AUTH_TOKEN ?? 'holdfast-sandbox';
const from = '+15005550006';
let serial = Date.now() % 1e7;
const someone = () => `+1555${String(serial++).padStart(7, '0')}`;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Way 1: the base URL. */
function clientAt(base, { user = sid, password = token, ...options } = {}) {
  const client = twilio(user, password, options);
  client.api.baseUrl = base;
  return client;
}
/** Way 2: an HTTP client of one's own, here one that also adds headers. */
function clientThrough(base, headers = {}) {
  class Local extends twilio.RequestClient {
    request(options) {
      const url = new URL(options.uri);
      return super.request({ ...options, uri: base + url.pathname + url.search, headers: { ...options.headers, ...headers } });
    }
  }
  return twilio(sid, token, { httpClient: new Local() });
}

async function refused(promise, { status, code }) {
  try {
    await promise;
  } catch (error) {
    assert.equal(error.status, status, error.message);
    assert.equal(error.code, code, error.message);
    if (code) assert.equal(error.moreInfo, `https://www.twilio.com/docs/errors/${code}`);
    return;
  }
  assert.fail(`not refused; expected ${status}/${code}`);
}
async function eventually(get, want, limit = 15000) {
  const end = Date.now() + limit;
  for (;;) {
    const got = await get();
    if (got === want) return;
    assert.ok(Date.now() < end, `still ${got}, expected ${want}`);
    await pause(100);
  }
}

/** Receives status callbacks; remembers them with whether the client's own validator accepts them. */
async function callbackReceiver() {
  const seen = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const params = Object.fromEntries(new URLSearchParams(body));
      const url = `http://127.0.0.1:${server.address().port}${request.url}`;
      seen.push({ params, path: request.url, valid: twilio.validateRequest(token, request.headers['x-twilio-signature'], url, params) });
      response.writeHead(204).end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { seen, url: `http://127.0.0.1:${server.address().port}/status`, close: () => server.close() };
}

/** What must hold for the API, whoever serves it. */
function apiChecks(name, base) {
  const client = clientAt(base);
  const send = (extra = {}) => client.messages.create({ to: someone(), from, body: 'Order #1042 confirmed.', ...extra });
  return [
    ['message: create, as documented', async () => {
      const m = await send();
      assert.match(m.sid, /^SM[0-9a-f]{32}$/);
      assert.ok(['queued', 'sending', 'sent', 'delivered'].includes(m.status), m.status);
      assert.equal(m.accountSid, sid);
      assert.equal(m.direction, 'outbound-api');
      assert.equal(m.numSegments, '1');
      assert.equal(m.numMedia, '0');
      assert.equal(m.errorCode, null);
      assert.equal(m.apiVersion, '2010-04-01');
      assert.ok(m.dateCreated instanceof Date && !Number.isNaN(m.dateCreated.getTime()));
      assert.equal(m.uri, `/2010-04-01/Accounts/${sid}/Messages/${m.sid}.json`);
    }],
    ['message: through a custom HTTP client', async () => {
      const m = await clientThrough(base).messages.create({ to: someone(), from, body: 'x' });
      assert.match(m.sid, /^SM/);
    }],
    ['message: UTF-8, spaces, plus and ampersand survive', async () => {
      const body = 'Grüße + 1 & 2 = 3 %, “☕” 👍\nzweite Zeile';
      const m = await send({ body });
      assert.equal((await client.messages(m.sid).fetch()).body, body);
    }],
    ['message: status reaches delivered, dates and price appear', async () => {
      const m = await send();
      await eventually(async () => (await client.messages(m.sid).fetch()).status, 'delivered');
      assert.ok((await client.messages(m.sid).fetch()).dateSent instanceof Date);
    }],
    ['message: WhatsApp addresses on both sides', async () => {
      const m = await send({ to: `whatsapp:${someone()}`, from: `whatsapp:${from}` });
      assert.match(m.to, /^whatsapp:/);
    }],
    ['message: WhatsApp on one side is refused', () => refused(send({ to: `whatsapp:${someone()}` }), { status: 400, code: 21612 })],
    ['message: media gives an MM sid', async () => {
      const m = await send({ mediaUrl: ['https://example.com/a.png', 'https://example.com/b.png'] });
      assert.match(m.sid, /^MM[0-9a-f]{32}$/);
      assert.equal(m.numMedia, '2');
    }],
    ['message: bad To → 21211', () => refused(send({ to: '123' }), { status: 400, code: 21211 })],
    ['message: To = From → 21211', () => refused(send({ to: from }), { status: 400, code: 21211 })],
    ['message: bad From → 21212', () => refused(send({ from: '+0' }), { status: 400, code: 21212 })],
    ['message: no body → 21602', () => refused(send({ body: '' }), { status: 400, code: 21602 })],
    ['message: 1601 characters → 21617', () => refused(send({ body: 'a'.repeat(1601) }), { status: 400, code: 21617 })],
    ['message: 1600 characters are 11 segments', async () => assert.equal((await send({ body: 'a'.repeat(1600) })).numSegments, '11')],
    ['message: validity 0 → 90007', () => refused(send({ validityPeriod: 0 }), { status: 400, code: 90007 })],
    ['message: callback host with underscore → 21609', () => refused(send({ statusCallback: 'http://a_b.example/' }), { status: 400, code: 21609 })],
    ['message: eleven media → 21623', () => refused(send({ mediaUrl: Array(11).fill('https://example.com/a') }), { status: 400, code: 21623 })],
    ['message: service → accepted, from null', async () => {
      const m = await client.messages.create({ to: someone(), messagingServiceSid: 'MG0123456789abcdef0123456789abcdef', body: 'x' });
      assert.equal(m.messagingServiceSid, 'MG0123456789abcdef0123456789abcdef');
    }],
    ['message: scheduled', async () => {
      const m = await client.messages.create({
        to: someone(), messagingServiceSid: 'MG0123456789abcdef0123456789abcdef', body: 'x',
        scheduleType: 'fixed', sendAt: new Date(Date.now() + 3600e3),
      });
      assert.equal(m.status, 'scheduled');
    }],
    ['message: scheduled too near → 35114', () => refused(client.messages.create({
      to: someone(), messagingServiceSid: 'MG0123456789abcdef0123456789abcdef', body: 'x',
      scheduleType: 'fixed', sendAt: new Date(Date.now() + 60e3),
    }), { status: 400, code: 35114 })],
    ['message: unknown sid → 404/20404', () => refused(client.messages('SM' + '0'.repeat(32)).fetch(), { status: 404, code: 20404 })],
    ['list: auto-paging brings every row once, newest first', async () => {
      const to = someone();
      const made = [];
      for (let i = 0; i < 7; ++i) made.push((await send({ to })).sid);
      const rows = await client.messages.list({ to, pageSize: 2 });
      assert.deepEqual(rows.map((m) => m.sid).sort(), made.sort());
      assert.equal(new Set(rows.map((m) => m.sid)).size, 7);
    }],
    ['list: limit, each and page objects', async () => {
      const to = someone();
      for (let i = 0; i < 3; ++i) await send({ to });
      assert.equal((await client.messages.list({ to, limit: 2 })).length, 2);
      const page = await client.messages.page({ to, pageSize: 2 });
      assert.equal(page.instances.length, 2);
      assert.equal((await page.nextPage()).instances.length, 1);
    }],
    ['list: DateSent filters', async () => {
      const to = someone();
      const m = await send({ to });
      await eventually(async () => (await client.messages(m.sid).fetch()).status, 'delivered');
      const hour = 3600e3;
      assert.equal((await client.messages.list({ to, dateSentAfter: new Date(Date.now() - hour) })).length, 1);
      assert.equal((await client.messages.list({ to, dateSentBefore: new Date(Date.now() - hour) })).length, 0);
    }],
    ['list: page size 1001 → 20007', () => refused(client.messages.page({ pageSize: 1001 }), { status: 400, code: 20007 })],
    ['auth: wrong token → 401/20003', () => refused(clientAt(base, { password: 'wrong' }).messages.list({ limit: 1 }), { status: 401, code: 20003 })],
    ['auth: another account → 404 or 401', async () => {
      const other = clientAt(base, { accountSid: 'AC' + '2'.repeat(32) });
      await refused(other.messages.list({ limit: 1 }), { status: 404, code: 20404 });
    }],
    ['raw: a JSON body is no form → 400/21604', async () => {
      const response = await fetch(`${base}/2010-04-01/Accounts/${sid}/Messages.json`, {
        method: 'POST', body: JSON.stringify({ To: someone(), From: from, Body: 'x' }),
        headers: { 'Content-Type': 'application/json', Authorization: 'Basic ' + Buffer.from(`${sid}:${token}`).toString('base64') },
      });
      assert.equal(response.status, 400);
      const body = await response.json();
      assert.deepEqual(Object.keys(body).sort(), ['code', 'message', 'more_info', 'status']);
      assert.equal(body.code, 21604);
      assert.match(response.headers.get('twilio-request-id'), /^RQ[0-9a-f]{32}$/);
    }],
    ['call: create with TwiML, fetch until completed', async () => {
      const call = await client.calls.create({ to: someone(), from, twiml: '<Response><Say>Order #1042 confirmed.</Say></Response>' });
      assert.match(call.sid, /^CA[0-9a-f]{32}$/);
      assert.equal(call.direction, 'outbound-api');
      await eventually(async () => (await client.calls(call.sid).fetch()).status, 'completed');
    }],
    ['call: list by To', async () => {
      const to = someone();
      const call = await client.calls.create({ to, from, twiml: '<Response/>' });
      assert.deepEqual((await client.calls.list({ to })).map((c) => c.sid), [call.sid]);
    }],
    ['call: nothing to say → 21205', () => refused(client.calls.create({ to: someone(), from }), { status: 400, code: 21205 })],
    ['call: bad To → 21217', () => refused(client.calls.create({ to: 'x', from, twiml: '<Response/>' }), { status: 400, code: 21217 })],
    ['call: unknown event → 21626', () => refused(
      client.calls.create({ to: someone(), from, twiml: '<Response/>', statusCallbackEvent: ['sung'] }), { status: 400, code: 21626 })],
    ['callbacks: message reports arrive and the client accepts their signature', async () => {
      const receiver = await callbackReceiver();
      const m = await send({ statusCallback: `${receiver.url}?order=1042&x=%20y` });
      await eventually(() => receiver.seen.some((c) => c.params.MessageStatus === 'delivered'), true);
      receiver.close();
      for (const c of receiver.seen) {
        assert.ok(c.valid, 'signature');
        assert.equal(c.params.MessageSid, m.sid);
        assert.equal(c.params.SmsSid, m.sid);
        assert.equal(c.path, '/status?order=1042&x=%20y');
        assert.notEqual(c.params.MessageStatus, 'queued', 'no callback for the first status');
      }
    }],
    ['callbacks: four call events with sequence numbers', async () => {
      const receiver = await callbackReceiver();
      await client.calls.create({
        to: someone(), from, twiml: '<Response><Say>Hi</Say></Response>', statusCallback: receiver.url,
        statusCallbackEvent: ['initiated', 'ringing', 'answered', 'completed'],
      });
      await eventually(() => receiver.seen.length, 4);
      receiver.close();
      const sorted = receiver.seen.map((c) => c.params).sort((a, b) => a.SequenceNumber - b.SequenceNumber);
      assert.deepEqual(sorted.map((p) => p.CallStatus), ['initiated', 'ringing', 'in-progress', 'completed']);
      assert.ok(receiver.seen.every((c) => c.valid), 'signature');
    }],
    ['callbacks: by default a call reports its end alone', async () => {
      const receiver = await callbackReceiver();
      await client.calls.create({ to: someone(), from, twiml: '<Response/>', statusCallback: receiver.url });
      await eventually(() => receiver.seen.length, 1);
      await pause(500);
      receiver.close();
      assert.deepEqual(receiver.seen.map((c) => c.params.CallStatus), ['completed']);
    }],
  ].map(([what, run]) => [`${name}: ${what}`, run]);
}

function phoneChecks(base) {
  const control = async (body) => {
    const response = await fetch(`${base}/control/faults`, { method: 'POST', body: JSON.stringify(body) });
    assert.equal(response.status, 201);
  };
  const client = clientAt(base);
  const test = clientAt(base, { user: 'AC' + '1'.repeat(32), password: 'holdfast-sandbox-test' });
  const magic = [
    ['messages', '+15005550001', '+15558675310', 400, 21212], ['messages', '+15005550007', '+15558675310', 400, 21606],
    ['messages', '+15005550008', '+15558675310', 429, 21611], ['messages', from, '+15005550001', 400, 21211],
    ['messages', from, '+15005550002', 400, 21612], ['messages', from, '+15005550003', 400, 21408],
    ['messages', from, '+15005550004', 400, 21610], ['messages', from, '+15005550009', 400, 21614],
    ['calls', '+15005550001', '+15558675310', 400, 21212], ['calls', '+15557122661', '+15558675310', 400, 21210],
    ['calls', from, '+15005550001', 400, 21217], ['calls', from, '+15005550002', 400, 21214],
    ['calls', from, '+15005550003', 400, 21215], ['calls', from, '+15005550004', 400, 21216],
  ];
  return [
    ...magic.map(([kind, sender, to, status, code]) => [
      `phone: magic number, ${kind} ${sender} → ${to}`,
      () => refused(test[kind].create({ to, from: sender, body: 'x', twiml: '<Response/>' }), { status, code }),
    ]),
    ['phone: magic numbers mean nothing with live credentials', async () => {
      assert.match((await client.messages.create({ to: '+15005550009', from, body: 'x' })).sid, /^SM/);
    }],
    ['phone: test credentials list nothing → 403/20008', () => refused(test.messages.list({ limit: 1 }), { status: 403, code: 20008 })],
    ['phone: 429 and the client’s autoRetry', async () => {
      const to = someone();
      await control({ mode: '429', count: 2, match: { To: to } });
      const patient = clientAt(base, { autoRetry: true, maxRetries: 3 });
      assert.match((await patient.messages.create({ to, from, body: 'x' })).sid, /^SM/);
      assert.equal((await client.messages.list({ to })).length, 1);
    }],
    ['phone: created, then 500: the client sees 500/20500, the list sees the message', async () => {
      const to = someone();
      await control({ mode: 'create_then_500', match: { To: to } });
      await refused(client.messages.create({ to, from, body: 'x' }), { status: 500, code: 20500 });
      assert.equal((await client.messages.list({ to })).length, 1);
    }],
    ['phone: opted out → 21610', async () => {
      const to = someone();
      await control({ mode: 'refuse', match: { To: to } });
      await refused(client.messages.create({ to, from, body: 'x' }), { status: 400, code: 21610 });
    }],
    ['phone: undelivered carries its code', async () => {
      const to = someone();
      await control({ mode: 'undelivered', code: 30005, match: { To: to } });
      const m = await client.messages.create({ to, from, body: 'x' });
      await eventually(async () => (await client.messages(m.sid).fetch()).status, 'undelivered');
      assert.equal((await client.messages(m.sid).fetch()).errorCode, 30005);
    }],
  ];
}

function notifierChecks(base) {
  const withEvent = (id) => clientThrough(base, { 'X-Holdfast-Event-Id': id });
  const seenBy = async (to) => (await (await fetch(`${phoneUrl}/control/customers?to=${encodeURIComponent(to)}`)).json()).customers[0];
  const control = (body) => fetch(`${phoneUrl}/control/faults`, { method: 'POST', body: JSON.stringify(body) });
  const unique = () => `conformance-${randomBytes(6).toString('hex')}`;
  return [
    ['notifier: twenty requests with one event id are one message', async () => {
      const client = withEvent(unique()), to = someone();
      const sids = await Promise.all(Array.from({ length: 20 }, async () => (await client.messages.create({ to, from, body: 'once' })).sid));
      assert.equal(new Set(sids).size, 1);
      assert.equal((await seenBy(to)).messages, 1);
    }],
    ['notifier: one event id for another text → 409', async () => {
      const client = withEvent(unique()), to = someone();
      await client.messages.create({ to, from, body: 'one' });
      await refused(client.messages.create({ to, from, body: 'two' }), { status: 409, code: 20409 });
    }],
    ...['create_then_500', 'gateway_502', 'fail_before_create', '429'].map((mode) => [
      `notifier: ${mode} at the provider ends in exactly one message`, async () => {
        const client = withEvent(unique()), to = someone();
        await control({ mode, match: { To: to } });
        let m;
        for (let tries = 0; !m; ++tries) {
          try {
            m = await client.messages.create({ to, from, body: 'once' });
          } catch (error) {
            assert.ok([503, 429].includes(error.status) && tries < 30, error.message);
            await pause(500);
          }
        }
        assert.equal((await seenBy(to)).messages, 1);
        assert.equal((await seenBy(to)).received[0].sid, m.sid);
      }]),
    ['notifier: the provider’s refusal is passed on', async () => {
      const to = someone();
      await control({ mode: 'refuse', match: { To: to } });
      await refused(withEvent(unique()).messages.create({ to, from, body: 'x' }), { status: 400, code: 21610 });
    }],
    ['notifier: a status callback with a wrong signature → 403', async () => {
      const response = await fetch(`${base}/hooks/twilio/message?n=NT1&a=1`, {
        method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Twilio-Signature': 'AAAA' },
        body: `MessageSid=SM${'0'.repeat(32)}&MessageStatus=sent`,
      });
      assert.equal(response.status, 403);
    }],
  ];
}

const checks = [...apiChecks('phone', phoneUrl), ...phoneChecks(phoneUrl),
  ...(notifierUrl ? [...apiChecks('notifier', notifierUrl), ...notifierChecks(notifierUrl)] : [])];
let passed = 0, failed = 0;
for (const [what, run] of checks) {
  try {
    await run();
    ++passed;
    console.log(`PASS ${what}`);
  } catch (error) {
    ++failed;
    console.log(`FAIL ${what}: ${error.message?.split('\n').join(' ') ?? error}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
