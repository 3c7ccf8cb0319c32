import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EThree } from '@virgilsecurity/e3kit-node';
import axe, { type AxeResults } from 'axe-core';
import { type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { chromiumOptions } from '../../scripts/local/chromium';
import { type LocalServer, startLocalServer } from '../support/local-server';
import { restClient } from '../support/rest';

// The page as a visitor meets it: the real server, the real browser. The tests follow one another.

const folder = mkdtempSync(join(tmpdir(), 'playground-'));
let server: LocalServer;
let browser: BrowserContext;
let page: Page;
// The Parse SDK waits at most 30 s before it tries again.
const RECONNECTS_WITHIN_MS = 35_000;
const CATCHES_UP_WITHIN_MS = 10_000;
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);
const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 390, height: 844 };

/** What the browser complains of, and what it asks of other hosts. */
const complaints: string[] = [];

beforeAll(async () => {
  server = await startLocalServer({ folder });
  await openPage();
});
afterAll(async () => {
  await browser?.close();
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  expect(complaints.splice(0)).toEqual([]);
});

/** Opens the page in a browser whose profile is kept from one call to the next. */
async function openPage(): Promise<void> {
  browser = await chromium.launchPersistentContext(join(folder, 'profile'), {
    ...chromiumOptions(),
    viewport: WIDE,
    reducedMotion: 'reduce', // what is measured stands still
  });
  browser.setDefaultTimeout(RECONNECTS_WITHIN_MS);
  page = browser.pages()[0] ?? (await browser.newPage());
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  browser.on('request', (request) => {
    const { origin } = new URL(request.url()); // of a blob: that of the page which made it
    if (origin !== server.url) complaints.push(request.url());
  });
  await page.goto(server.url);
}

/** A panel of the page, of which a narrow window shows one at a time. */
const panel = (title: string) =>
  page
    .getByRole('region', { name: title, exact: true })
    .or(page.getByRole('tabpanel', { name: title, exact: true }));
const alice = () => panel('Alice’s phone');
const newPhone = () => panel('Alice’s new phone');
const bob = () => panel('Bob’s phone');
const carol = () => panel('Carol’s phone');
const stored = () => panel('What the server stores');
const rows = () => stored().getByRole('article');
const steps = () => page.getByRole('navigation', { name: 'Three things to try' });
const step = (title: string) => steps().getByRole('button', { name: title });

async function send(from: Locator, text: string): Promise<void> {
  await from.getByRole('textbox', { name: 'Message from' }).fill(text);
  await from.getByRole('button', { name: 'Send', exact: true }).click();
}

async function shows(where: Locator, text: string): Promise<void> {
  await where.getByRole('log').getByText(text).first().waitFor();
}

/** Sends a picture of one pixel, in a file of this many bytes or more. */
async function photo(from: Locator, name: string, bytes = 0): Promise<void> {
  const buffer = Buffer.concat([PIXEL, randomBytes(bytes)]);
  await from.locator('input[type=file]').setInputFiles({ name, mimeType: 'image/png', buffer });
}

/** What the page remembers of one of its users. */
async function account(name: string): Promise<{ userId: string; sessionToken: string }> {
  return JSON.parse(await page.evaluate('localStorage.playground')).accounts[name];
}

/** Calls Parse Server with the master key. */
async function parse(method: string, path: string, body?: object) {
  const { PARSE_MASTER_KEY: masterKey } = JSON.parse(
    readFileSync(join(folder, '.local/credentials.json'), 'utf8'),
  );
  const client = restClient({ url: `${server.url}/parse`, appId: 'e2ee-local', masterKey });
  return client.call(method, path, body, { master: true });
}

async function textsOf(where: Locator): Promise<string> {
  return (await where.getByRole('log').textContent()) ?? '';
}

/** The width and height of the last picture on a phone. */
async function picture(phone: Locator): Promise<number[]> {
  const image = phone.getByRole('log').locator('img').last();
  await image.waitFor();
  return image.evaluate(async (element) => {
    await element.decode();
    return [element.naturalWidth, element.naturalHeight];
  });
}

async function sizeOf(what: 'Width' | 'Height'): Promise<number> {
  return (await page.evaluate(`document.documentElement.scroll${what}`)) as number;
}

async function boxOf(element: Locator) {
  const box = await element.boundingBox();
  if (!box) throw new Error(`${element} is not shown.`);
  return { top: box.y, bottom: box.y + box.height };
}

/** What holds as soon as the page has caught up: it draws, scrolls and moves the focus after the act that asked for it. */
async function soon(check: () => Promise<void> | void): Promise<void> {
  for (const end = Date.now() + CATCHES_UP_WITHIN_MS; ; ) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await page.waitForTimeout(50);
    }
  }
}

/** Whole, within the list that it scrolls in and the window. */
async function expectInView(text: Locator): Promise<void> {
  await text.waitFor();
  await soon(async () => {
    const [inner, list] = [await boxOf(text), await boxOf(text.locator('xpath=ancestor::*[@role="log"]'))];
    expect(inner.top).toBeGreaterThanOrEqual(Math.max(list.top, 0));
    expect(inner.bottom).toBeLessThanOrEqual(Math.min(list.bottom, page.viewportSize()?.height ?? 0));
  });
}

/** Has the focus, as people know it. */
async function focused(): Promise<string> {
  return (await page.evaluate(
    'document.activeElement === document.body ? "" : document.activeElement.ariaLabel ?? document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent',
  )) as string;
}

const expectFocus = (name: RegExp) => soon(async () => expect(await focused()).toMatch(name));

/** The browser complains of one answer: its own word for a refusal. */
async function expectRefusal(): Promise<void> {
  await soon(() => expect(complaints).toEqual([expect.stringContaining('status of 400')]));
  complaints.length = 0;
}

/** Of a page at rest: nothing that axe finds, nothing wider than the window, and where there is room nothing higher. */
async function expectSound(): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const viewport of [NARROW, WIDE]) {
      await page.setViewportSize(viewport);
      await page.getByRole('tablist').waitFor({ state: viewport === NARROW ? 'visible' : 'detached' });
      await soon(async () => {
        expect(await sizeOf('Width')).toBe(viewport.width);
        expect(await sizeOf('Height')).toBeLessThanOrEqual(viewport === WIDE ? WIDE.height : 1100);
      });
      const { violations } = (await page.evaluate(`${axe.source}; axe.run()`)) as AxeResults;
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    }
  }
}

/** Whether the composers stand side by side. */
async function expectAligned(...phones: Locator[]): Promise<void> {
  const fields = phones.map((phone) => phone.getByRole('textbox', { name: 'Message from' }));
  await soon(async () => {
    const boxes = await Promise.all(fields.map(boxOf));
    expect(new Set(boxes.map(({ top }) => top)).size).toBe(1);
  });
}

test('says what it is, and both phones have exchanged a message before anybody has done anything', async () => {
  await page.getByRole('heading', { name: 'back4app-e2ee', level: 1 }).waitFor();
  await page.getByText('what Alice writes, Bob reads, and the server between them stores noise').waitFor();
  for (const phone of [alice(), bob()]) {
    await shows(phone, 'The results are in: all clear.');
    await shows(phone, 'What a relief! Dinner at eight?');
  }
  await rows().nth(1).waitFor();
  expect(await steps().getByRole('listitem').allTextContents()).toEqual([
    '1Send without encrypting The server refuses it.',
    '2Tamper with the database One flipped bit, and no phone trusts it.',
    '3Lose Alice’s phone Her key comes back, with a password.',
  ]);
  await expectAligned(alice(), bob());
  await expectSound();
});

test('both phones exchange what is written on them, and name the sender and the time once in a run', async () => {
  await send(alice(), 'Gladly!');
  await send(alice(), 'At my place?');
  await shows(bob(), 'At my place?');
  await send(bob(), 'See you there');
  await shows(alice(), 'See you there');
  const time = /\d?\d:\d\d( [AP]M)?/g;
  const without = (await textsOf(alice())).replace(time, '|');
  // A minute may have begun in between, and then its time is told.
  expect(without.replace('Gladly!|', 'Gladly!')).toBe(
    'YouThe results are in: all clear.|BobWhat a relief! Dinner at eight?|YouGladly!At my place?|BobSee you there|',
  );
});

test('the server stores noise, and shows the part of it that differs', async () => {
  await rows().nth(4).waitFor();
  const [first, second] = await rows().all();
  expect(await first?.textContent()).toMatch(/^From Alice.*for Alice and Bob, signed inside/);
  expect(await second?.textContent()).toMatch(/^From Bob.*for Bob and Alice, signed inside/);
  expect(await rows().allTextContents()).not.toContainEqual(expect.stringMatching(/results|relief|Gladly/));
  const noise = await stored().locator('.noise').all();
  const shown = await Promise.all(noise.map((row) => row.textContent()));
  // The header is nearly the same in each.
  expect(shown).not.toContainEqual(expect.stringMatching(/^MII/));
  expect(new Set(shown.map((text) => text?.slice(0, 8))).size).toBe(5);
  for (const row of noise) expect((await row.boundingBox())?.height).toBeLessThan(6 * 19);
  await first?.getByText('for Alice and Bob').click();
  expect(await first?.locator('pre').textContent()).toContain(`${shown[0]}`);
  await first?.getByText('for Alice and Bob').click();
});

test('what is sent without encrypting is refused in view, and not stored', async () => {
  await alice().getByRole('switch').check();
  await send(alice(), 'The door code is 4711');
  const refusal = alice().getByText('The server refused it.');
  await expectInView(refusal);
  expect(await alice().getByRole('log').getByText('Error 142').textContent()).toMatch(
    /Error 142: PlaygroundMessage\.body is refused: not base64\. Encrypt it with E3Kit's authEncrypt\(\)\.$/,
  );
  await expectInView(stored().getByText('Refused: nothing was stored'));
  await soon(async () => expect(await stored().locator('.noise').count()).toBe(5));
  expect(await textsOf(bob())).not.toContain('4711');
  // The form is as it was, and the step is done.
  await soon(async () => expect(await alice().getByRole('switch').isChecked()).toBe(false));
  await soon(async () => expect(await alice().getByRole('textbox').inputValue()).toBe(''));
  await soon(async () =>
    expect(await step('Send without encrypting').textContent()).toMatch(/The server refused it\. Done\.$/),
  );
  await expectRefusal();
  await expectSound();
});

test('what was refused goes out encrypted, and leaves nothing red behind', async () => {
  await alice().getByRole('button', { name: 'Encrypt and send' }).click();
  await shows(bob(), 'The door code is 4711');
  await alice().getByText('The server refused it.').waitFor({ state: 'detached' });
  await soon(async () => expect(await rows().getByText('Refused').count()).toBe(0));
  await expectFocus(/^Message from Alice’s phone to Bob$/);
});

test('a phone does not trust a message that was tampered with, in view, until the bit is flipped back', async () => {
  const row = rows().first();
  await row.getByRole('button', { name: 'Tamper' }).click();
  await expectInView(bob().getByText('Not trusted. This is not what Alice wrote.'));
  await expectInView(alice().getByText('Not trusted. This is not what Alice wrote.'));
  await expectInView(row.getByText('One bit was flipped in the database.'));
  expect(await textsOf(bob())).not.toContain('The results are in');
  // The character that has changed is among those that are shown.
  const [mark, noise] = [await boxOf(row.locator('mark')), await boxOf(row.locator('.noise'))];
  expect(mark.bottom).toBeLessThanOrEqual(noise.bottom);
  await soon(async () => expect(await step('Flip the bit back').textContent()).toMatch(/Done\.$/));
  await expectSound();

  // What has changed is known after a reload too.
  await page.reload();
  await row.getByText('One bit was flipped in the database.').waitFor();
  await row.getByRole('button', { name: 'Flip it back' }).click();
  await shows(bob(), 'The results are in');
  await row.getByRole('button', { name: 'Tamper' }).waitFor();
  await step('Tamper with the database').waitFor();
  expect(await page.locator('body').textContent()).not.toMatch(/Not trusted|was flipped/);
});

test('a step does what it says, and the focus stays on it', async () => {
  await step('Send without encrypting').click();
  await expectInView(alice().getByText('The server refused it.'));
  await expectRefusal();
  await expectFocus(/Send without encrypting/);
  await step('Tamper with the database').click();
  await expectInView(bob().getByText('Not trusted. This is not what Alice wrote.'));
  await step('Flip the bit back').click();
  await bob().getByText('Not trusted').waitFor({ state: 'detached' });
  await expectFocus(/Tamper with the database/);
});

test('the page does not grow with its messages', async () => {
  const heights = async () => {
    const measured: number[] = [];
    for (const viewport of [NARROW, WIDE]) {
      await page.setViewportSize(viewport);
      await page.getByRole('tablist').waitFor({ state: viewport === NARROW ? 'visible' : 'detached' });
      measured.push(await sizeOf('Height'));
    }
    return measured;
  };
  const before = await heights();
  expect(before[1]).toBe(WIDE.height);
  for (const text of ['One', 'Two', 'Three']) await send(alice(), text);
  await shows(bob(), 'Three');
  await rows().nth(8).waitFor();
  await soon(async () => expect(await heights()).toEqual(before));
  await expectInView(bob().getByText('Three'));
});

test('a photo travels: its name and its picture on the phones, noise on the server', async () => {
  await step('Send a photo').click();
  for (const phone of [alice(), bob()]) {
    await expectInView(phone.getByText('The view from my place'));
    await shows(phone, 'Evening at the lake.jpg');
    await soon(async () => expect(await picture(phone)).toEqual([800, 450]));
  }
  const row = rows().filter({ hasText: 'e2ee-' }).last();
  await row.getByText(/^e2ee-[0-9a-f]{32}\.bin$/).waitFor();
  await expectInView(row.getByText(/^\d\d KB$/));
  await row.getByRole('img', { name: 'Noise' }).waitFor();
  expect(await stored().textContent()).not.toMatch(/Evening|lake|jpg|jpeg/);
  await soon(async () => expect(await step('Send a photo').textContent()).toMatch(/Done\.$/));
  await expectFocus(/Send a photo/);
  await expectSound();

  // Its row shows the flipped bit as others do.
  await row.getByRole('button', { name: 'Tamper' }).click();
  await bob().getByText('Not trusted.').waitFor();
  const [mark, noise] = [await boxOf(row.locator('mark')), await boxOf(row.locator('.noise').first())];
  expect(mark.bottom).toBeLessThanOrEqual(noise.bottom);
  await row.getByRole('button', { name: 'Flip it back' }).click();
  await bob().getByText('Not trusted.').waitFor({ state: 'detached' });
});

test('a photo of one’s own goes with what is written, and is refused where it is not encrypted', async () => {
  const name = 'MRI scan of Bob.png';
  const choose = (phone: Locator) =>
    phone.locator('input[type=file]').setInputFiles({ name, mimeType: 'image/png', buffer: PIXEL });
  const uploads: string[] = [];
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.url().includes('/files/')) uploads.push(request.url());
  });
  await bob().getByRole('textbox').fill('Do you see anything?');
  await choose(bob());
  await shows(alice(), 'Do you see anything?');
  await shows(alice(), name);
  await soon(async () => expect(await picture(alice())).toEqual([1, 1]));
  await soon(async () => expect(await bob().getByRole('textbox').inputValue()).toBe(''));

  await bob().getByRole('switch').check();
  await choose(bob());
  await expectInView(bob().getByText('Error 142: The file is refused: not an E3Kit envelope.'));
  await expectInView(stored().getByText('A photo from Bob’s phone was not encrypted.'));
  await expectRefusal();
  await bob().getByRole('button', { name: 'Encrypt and send' }).click();
  await bob().getByText('The server refused it.').waitFor({ state: 'detached' });
  await alice().getByText(name).nth(1).waitFor();
  // A name would be in the log of whoever stands between, even where the file is refused.
  expect(new Set(uploads.map((url) => new URL(url).pathname))).toEqual(new Set(['/parse/files/e2ee.bin']));
});

test('a message that leaves a reader out is refused, in the server’s own words', async () => {
  await step('Leave Bob out').click();
  // The refusal of an earlier test is there still.
  const refusal = alice().getByRole('log').getByText('is not encrypted for');
  await expectInView(refusal);
  expect(await refusal.textContent()).toMatch(
    /The server refused it\. Error 142: PlaygroundMessage\.body is not encrypted for \w{10}, who may read the row: encrypt it for every reader\.$/,
  );
  await expectInView(
    stored().getByText('A message from Alice’s phone was not encrypted for Bob, who may read it.'),
  );
  await expectRefusal();
  expect(await textsOf(bob())).not.toContain('See you at eight!');
  await soon(async () => expect(await step('Leave Bob out').textContent()).toMatch(/Done\.$/));
  await expectFocus(/Leave Bob out/);
  await expectSound();

  await alice().getByRole('button', { name: 'Encrypt it for Bob too' }).click();
  await shows(bob(), 'See you at eight!');
  await refusal.waitFor({ state: 'detached' });
  await soon(async () => expect(await stored().getByText('was not encrypted for Bob').count()).toBe(0));
});

test('what another has written in the sender’s name is not trusted', async () => {
  const [aliceId, bobId] = [(await account('Alice')).userId, (await account('Bob')).userId];
  const { results } = (await parse('GET', '/classes/PlaygroundMessage?order=-createdAt')).body;
  const { body, threadId, timestamp, ACL } = results.find(
    (row: { senderId: string }) => row.senderId === bobId,
  );
  const forged = { body, threadId, timestamp, ACL, senderId: aliceId };
  const { objectId } = (await parse('POST', '/classes/PlaygroundMessage', forged)).body;
  for (const phone of [alice(), bob()]) await shows(phone, 'Not trusted. This is not what Alice wrote.');
  await parse('DELETE', `/classes/PlaygroundMessage/${objectId}`);
});

test('closing and opening the page keeps the keys, the conversation and the steps', async () => {
  await browser.close();
  await openPage();
  await shows(alice(), 'The results are in');
  await shows(bob(), 'The results are in');
  await shows(bob(), 'Evening at the lake.jpg');
  await send(bob(), 'See you');
  await shows(alice(), 'See you');
  await soon(async () => expect(await step('Send without encrypting').textContent()).toMatch(/Done\.$/));
  // Phones that have written to each other do not begin again.
  expect((await textsOf(alice())).match(/The results are in/g)).toHaveLength(1);
});

test('phones that were cut off from the server read what they missed', async () => {
  const { port } = new URL(server.url);
  await server.interrupt();
  await bob().getByText('Waiting for the server').waitFor();
  complaints.length = 0;
  server = await startLocalServer({ folder, environment: { PORT: port } });
  await bob().getByText('Online').waitFor();
  complaints.length = 0; // of the attempts in between
  await send(alice(), 'Back again');
  await shows(bob(), 'Back again');
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('a group of three reads what each of them writes, and the focus stays where it was', async () => {
  await step('A group of three').click();
  await shows(alice(), 'Hello, both of you!');
  await shows(bob(), 'Hello, both of you!');
  await expectFocus(/^Back to Alice and Bob$/);
  await rows().getByText('for the members of the group, signed beside the ciphertext').waitFor();
  await expectAligned(alice(), bob(), carol());
  await expectSound();
});

test('a refusal in the group names the group’s own call', async () => {
  await carol().getByRole('switch').check();
  await send(carol(), 'The door code is 4711');
  await expectInView(carol().getByText("Encrypt it with E3Kit's group.encrypt()."));
  await expectRefusal();
  await carol().getByRole('button', { name: 'Encrypt and send' }).click();
  await shows(alice(), 'The door code is 4711');
});

test('a photo travels in the group too', async () => {
  await step('Send a photo').click();
  for (const phone of [alice(), bob(), carol()]) {
    await shows(phone, 'Evening at the lake.jpg');
    await soon(async () => expect(await picture(phone)).toEqual([800, 450]));
  }
  const list = stored().getByRole('log');
  expect(await list.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBe(0);
});

test('a photo and a text over 30,000 bytes, which E3Kit takes for no group, travel in the group too', async () => {
  const text = 'A long story. '.repeat(2_500).trim();
  await photo(carol(), 'Large.png', 60_000);
  await send(carol(), text);
  for (const phone of [alice(), bob(), carol()]) {
    await shows(phone, 'Large.png');
    await soon(async () => expect(await picture(phone)).toEqual([1, 1]));
    await soon(async () => expect(await textsOf(phone)).toContain(text));
  }
  await rows()
    .last()
    .getByText(/^e2ee-[0-9a-f]{32}\.bin$/)
    .waitFor();
  expect(await stored().textContent()).not.toMatch(/Large|long story/);
});

test('a tampered group message is not trusted either', async () => {
  await rows().first().getByRole('button', { name: 'Tamper' }).click();
  await shows(bob(), 'Not trusted. This is not what Carol wrote.');
  await rows().first().getByRole('button', { name: 'Flip it back' }).click();
  await shows(bob(), 'Hello, both of you!');
});

test('a removed member gets ciphertext and no key, neither to read nor to write', async () => {
  await alice().getByRole('button', { name: 'Remove Carol' }).click();
  await expectInView(carol().getByText('Locked. Carol is not in the group').last());
  await send(bob(), 'A surprise for Carol');
  await shows(alice(), 'A surprise for Carol');
  await carol().getByRole('log').getByText('Locked.').nth(1).waitFor();
  await photo(bob(), 'Not for Carol.png', 60_000);
  await shows(alice(), 'Not for Carol.png');
  await carol().getByRole('log').getByText('Locked.').nth(2).waitFor();
  expect(await textsOf(carol())).not.toMatch(/surprise|Not for Carol/);
  await send(carol(), 'Hello?');
  await carol().getByRole('alert').getByText('Not sent: Carol is not in the group').waitFor();
  await expectSound();
});

test('a member who is added again reads on', async () => {
  await alice().getByRole('button', { name: 'Add Carol' }).click();
  await shows(carol(), 'I added Carol.');
  await shows(carol(), 'A surprise for Carol');
  await shows(carol(), 'Not for Carol.png');
  await send(carol(), 'Thank you!');
  await shows(bob(), 'Thank you!');
  await step('Back to Alice and Bob').click();
  await shows(bob(), 'Back again');
});

test('a phone is lost only with a backup, and not by mistake', async () => {
  await step('Lose Alice’s phone').click();
  await alice().getByLabel('First back up Alice’s key, with a password').waitFor();
  await expectFocus(/^First back up Alice’s key, with a password$/);
  await expectSound();
  await alice().getByRole('button', { name: 'Keep it' }).click();
  await expectFocus(/Lose Alice’s phone/);
  await alice().getByRole('textbox', { name: 'Message from' }).waitFor();
});

test('a new phone reads nothing before the key is restored, and then the old messages', async () => {
  await step('Lose Alice’s phone').click();
  await alice().getByLabel('First back up').fill('correct horse');
  await page.keyboard.press('Enter');
  await expectInView(newPhone().getByText('Locked. This phone does not have Alice’s key.').last());
  expect(await textsOf(newPhone())).not.toContain('results');
  await soon(async () => expect(await alice().count()).toBe(0));
  expect(await step('Lose Alice’s phone').textContent()).not.toContain('Done.');
  const password = newPhone().getByLabel('The password of the backup');
  await expectFocus(/^The password of the backup$/);
  await expectSound();

  // The key is gone with the phone.
  await page.reload();
  await shows(newPhone(), 'Locked. This phone does not have Alice’s key.');
  await password.fill('wrong');
  await password.press('Enter');
  await newPhone().getByRole('alert').getByText('not the password').waitFor();
  await password.fill('correct horse');
  await password.press('Enter');
  await shows(newPhone(), 'The results are in');
  await shows(newPhone(), 'Back again');
  await password.waitFor({ state: 'detached' });
  await expectFocus(/^Message from Alice’s new phone to Bob$/);
  await soon(async () =>
    expect(await step('Lose Alice’s phone').textContent()).toMatch(/Her key came back\. Done\.$/),
  );
  await expectAligned(newPhone(), bob());
  await expectSound();

  await step('A group of three').click();
  await shows(newPhone(), 'A surprise for Carol');
  await page.reload();
  await shows(newPhone(), 'A surprise for Carol');
  await step('Back to Alice and Bob').click();
  await shows(bob(), 'The results are in'); // the newest is read first
});

test('what the new phone sends arrives, and no page is loaded anew for it', async () => {
  await page.reload(); // so that both phones subscribe at once
  await shows(bob(), 'The results are in');
  await step('Lose Alice’s phone').click();
  await newPhone().getByLabel('First back up').fill('correct horse');
  await page.keyboard.press('Enter');
  await newPhone().getByLabel('The password of the backup').fill('correct horse');
  await page.keyboard.press('Enter');
  await shows(newPhone(), 'The results are in');

  await send(newPhone(), 'From the new phone');
  await shows(bob(), 'From the new phone');
  await photo(newPhone(), 'From the new phone.png');
  await shows(bob(), 'From the new phone.png');
  await send(bob(), 'To the new phone');
  await shows(newPhone(), 'To the new phone');
});

test('in a narrow window there is one panel at a time, and a mark where something arrived', async () => {
  await page.setViewportSize(NARROW);
  const tab = (name: string) => page.getByRole('tab', { name });
  await tab('Alice').waitFor();
  await soon(async () => expect(await page.getByRole('tabpanel').count()).toBe(1));
  await soon(async () =>
    expect(await page.getByRole('tab').allTextContents()).toEqual(['Alice', 'Server', 'Bob']),
  );

  await send(newPhone(), 'In a narrow window');
  await page.getByText('something new').nth(1).waitFor({ state: 'attached' });
  await tab('Alice').focus();
  await page.keyboard.press('End');
  await expectFocus(/^Bob$/);
  await expectInView(bob().getByText('In a narrow window'));
  await page.keyboard.press('ArrowLeft');
  await expectFocus(/^Server$/);
  await expectInView(rows().last());
  await soon(async () => expect(await page.getByText('something new').count()).toBe(0));

  // What a step changes comes into view, from wherever it was called.
  await step('Tamper with the database').click();
  await expectInView(bob().getByText('Not trusted.'));
  await soon(async () =>
    expect(await page.getByRole('tab').allTextContents()).toEqual([
      'Alice, something new',
      'Server, something new',
      'Bob',
    ]),
  );
  await step('Flip the bit back').click();
  await shows(bob(), 'In a narrow window');
  await step('Send without encrypting').click();
  await expectInView(newPhone().getByText('The server refused it.'));
  await expectRefusal();
  await newPhone().getByRole('button', { name: 'Encrypt and send' }).click();
  await newPhone().getByText('The server refused it.').waitFor({ state: 'detached' });
  await page.setViewportSize(WIDE);
});

test('works by keyboard', async () => {
  await page.reload();
  await shows(bob(), 'In a narrow window');
  await page.locator('#step-plaintext[aria-disabled=false]').waitFor();
  const tabTo = async (name: string | RegExp) => {
    for (let stops = 0; !(await focused()).match(name); stops++) {
      if (stops > 60) throw new Error(`${name} cannot be reached with the Tab key.`);
      await page.keyboard.press('Tab');
    }
  };
  const press = async (name: string | RegExp, key: string) => {
    await tabTo(name);
    await page.keyboard.press(key);
  };

  await press(/Send without encrypting/, 'Enter');
  await newPhone().getByText('The server refused it.').waitFor();
  await expectRefusal();
  await press('Encrypt and send', 'Enter');
  await newPhone().getByText('The server refused it.').waitFor({ state: 'detached' });
  await expectFocus(/^Message from Alice’s new phone to Bob$/);
  await page.keyboard.type('By keyboard');
  await page.keyboard.press('Enter');
  await shows(bob(), 'By keyboard');

  await press('Tamper', 'Enter');
  await bob().getByText('Not trusted.').waitFor();
  await expectFocus(/^Flip it back$/);
  await page.keyboard.press('Enter');
  await bob().getByText('Not trusted.').waitFor({ state: 'detached' });

  await page.reload();
  await page.locator('#step-phone[aria-disabled=false]').waitFor();
  await press(/Lose Alice’s phone/, 'Enter');
  await tabTo('First back up');
  await page.keyboard.type('correct horse');
  await page.keyboard.press('Enter');
  await newPhone().getByText('Locked.').first().waitFor();
  await tabTo('The password of the backup');
  await page.keyboard.type('correct horse');
  await page.keyboard.press('Enter');
  await shows(newPhone(), 'By keyboard');
});

test('the last act: Bob deletes his account, and nobody finds him any more', async () => {
  await step('Delete Bob’s account').click();
  await expectFocus(/^Keep it$/);
  await expectSound();
  await bob().getByRole('button', { name: 'Keep it' }).click();
  await expectFocus(/^Delete Bob’s account$/);
  await shows(bob(), 'By keyboard');

  await page.keyboard.press('Enter');
  await expectFocus(/^Keep it$/);
  await page.keyboard.press('Shift+Tab');
  await expectFocus(/^Delete it$/);
  await page.keyboard.press('Enter');
  await expectInView(newPhone().getByText('Not sent: nobody finds Bob any more.'));
  await bob().getByText('The account is deleted').waitFor();
  await expectFocus(/^Begin anew$/);
  await soon(async () => expect(await stored().getByText('Refused').count()).toBe(0));
  await expectSound();

  // So it stays, for Alice too: nobody can tell any more what Bob has written.
  await page.reload();
  await bob().getByText('The account is deleted').waitFor();
  await shows(newPhone(), 'Locked. Bob’s account is gone, and with it the key that shows who wrote this.');
  await shows(newPhone(), 'By keyboard');
  await send(newPhone(), 'Still not?');
  await expectInView(newPhone().getByText('Not sent: nobody finds Bob any more.'));
  await expectSound();

  await bob().getByRole('button', { name: 'Begin anew' }).click();
  await shows(bob(), 'What a relief! Dinner at eight?');
  await shows(alice(), 'What a relief! Dinner at eight?');
  await send(alice(), 'By keyboard');
  await shows(bob(), 'By keyboard');
});

test('messages from before a change of key are read, and those for the new key are locked on the old phone', async () => {
  const [aliceId, { userId: senderId, sessionToken }] = [
    (await account('Alice')).userId,
    await account('Bob'),
  ];
  const { threadId, timestamp, ACL } = (await parse('GET', '/classes/PlaygroundMessage?order=-createdAt'))
    .body.results[0];
  const getToken = async () =>
    (await parse('POST', '/functions/virgil-jwt', { sessionToken })).body.result.token;
  const newPhone = await EThree.initialize(getToken, {
    apiUrl: `${server.url}/virgil`,
    storageName: join(folder, 'keys'),
    groupStorageName: join(folder, 'groups'),
  });
  await newPhone.rotatePrivateKey();
  const body = await newPhone.authEncrypt('With a new key', await newPhone.findUsers(aliceId));
  await parse('POST', '/classes/PlaygroundMessage', { body, threadId, timestamp, ACL, senderId });
  await shows(alice(), 'With a new key'); // whose card Alice's phone has not seen before
  await shows(bob(), 'Locked. This was encrypted for other keys than Bob’s.');

  await page.reload();
  await shows(alice(), 'With a new key');
  for (const phone of [alice(), bob()]) await shows(phone, 'What a relief! Dinner at eight?');
});

test('npm start -- --fresh begins anew, in an open page too', async () => {
  const { port } = new URL(server.url);
  await server.interrupt();
  server = await startLocalServer({ folder, args: ['--fresh'], environment: { PORT: port } });
  await page.getByText('By keyboard').first().waitFor({ state: 'detached' });
  await shows(alice(), 'What a relief! Dinner at eight?');
  complaints.length = 0; // of the attempts in between, and of the session that is gone
  await send(alice(), 'A new start');
  await shows(bob(), 'A new start');
  await rows().nth(2).waitFor();
  await soon(async () => expect(await rows().count()).toBe(3));
  await soon(async () => expect(await newPhone().count()).toBe(0));
  await soon(async () => expect(await steps().getByText('Done.').count()).toBe(0));
});
