import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe, { type AxeResults } from 'axe-core';
import { type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { chromiumOptions } from '../../scripts/local/chromium';
import { type LocalServer, startLocalServer } from '../support/local-server';

// The page as a visitor meets it: the real server, the real browser. The tests follow one another.

const folder = mkdtempSync(join(tmpdir(), 'playground-'));
let server: LocalServer;
let browser: BrowserContext;
let page: Page;
// The Parse SDK waits at most 30 s before it tries again.
const RECONNECTS_WITHIN_MS = 35_000;

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
    viewport: { width: 1280, height: 800 },
  });
  browser.setDefaultTimeout(RECONNECTS_WITHIN_MS);
  page = browser.pages()[0] ?? (await browser.newPage());
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  browser.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(server.url).host) complaints.push(request.url());
  });
  await page.goto(server.url);
}

const phone = (title: string) => page.getByRole('region', { name: title, exact: true });
const alice = () => phone('Alice’s phone');
const bob = () => phone('Bob’s phone');
const carol = () => phone('Carol’s phone');
const newPhone = () => phone('Alice’s new phone');
const rows = () => phone('What the server stores').getByRole('article');

async function send(from: Locator, text: string): Promise<void> {
  await from.getByRole('textbox', { name: 'Message from' }).fill(text);
  await from.getByRole('button', { name: 'Send' }).click();
}

async function shows(where: Locator, text: string): Promise<void> {
  await where.getByRole('log').getByText(text).first().waitFor();
}

async function textsOf(where: Locator): Promise<string> {
  return (await where.getByRole('log').textContent()) ?? '';
}

test('both phones exchange messages', async () => {
  await send(alice(), 'Dinner at eight?');
  await shows(bob(), 'Dinner at eight?');
  await send(bob(), 'Gladly!');
  await shows(alice(), 'Gladly!');
});

test('the server stores noise, and says who can open it', async () => {
  await rows().nth(1).waitFor();
  const [first, second] = await rows().allTextContents();
  expect(first).toContain('Saved by Alice. Alice and Bob can open it. Signed inside the ciphertext.');
  expect(second).toContain('Saved by Bob. Bob and Alice can open it.');
  expect(`${first}${second}`).not.toMatch(/Dinner|Gladly/);
});

test('what is sent without encrypting is refused, and not stored', async () => {
  await alice().getByRole('switch').check();
  await send(alice(), 'The door code is 4711');
  expect(await alice().getByRole('alert').textContent()).toMatch(
    /^The server refused it\. Error 142: Message\.body is refused: not base64\./,
  );
  await rows().getByText('Refused: nothing was stored').waitFor();
  expect(await rows().filter({ hasText: 'Saved by' }).count()).toBe(2);
  expect(await textsOf(bob())).not.toContain('4711');
  // The browser's own word for an answer of 400.
  expect(complaints.splice(0)).toEqual([expect.stringContaining('status of 400')]);

  await alice().getByRole('switch').uncheck();
  await send(alice(), 'The door code is 4711');
  await shows(bob(), 'The door code is 4711');
});

test('a phone does not trust a message that was tampered with, until the byte is flipped back', async () => {
  const tamper = rows().first().getByRole('button', { name: 'Tamper' });
  await tamper.click();
  await shows(bob(), 'Not trusted. This is not what Alice wrote.');
  await rows().first().getByText('One bit was flipped').waitFor();
  expect(await textsOf(bob())).not.toContain('Dinner');
  await tamper.click();
  await shows(bob(), 'Dinner at eight?');
});

test('closing and opening the page keeps the keys and the conversation', async () => {
  await browser.close();
  await openPage();
  await shows(alice(), 'Dinner at eight?');
  await shows(bob(), 'Dinner at eight?');
  await send(bob(), 'See you');
  await shows(alice(), 'See you');
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
});

test('a group of three reads what each of them writes', async () => {
  await page.getByText('A group of three').click();
  await send(carol(), 'Hello, both of you');
  await shows(alice(), 'Hello, both of you');
  await shows(bob(), 'Hello, both of you');
  await rows().getByText('The members of the group can open it.').waitFor();
});

test('a tampered group message is not trusted either', async () => {
  const tamper = rows().first().getByRole('button', { name: 'Tamper' });
  await tamper.click();
  await shows(bob(), 'Not trusted. This is not what Carol wrote.');
  await tamper.click();
  await shows(bob(), 'Hello, both of you');
});

test('a removed member gets ciphertext and no key, neither to read nor to write', async () => {
  await alice().getByRole('button', { name: 'Remove Carol' }).click();
  await shows(carol(), 'Locked. Carol is not in the group');
  await send(bob(), 'A surprise for Carol');
  await shows(alice(), 'A surprise for Carol');
  await carol().getByRole('log').getByText('Locked.').nth(1).waitFor();
  expect(await textsOf(carol())).not.toContain('surprise');
  await send(carol(), 'Hello?');
  await carol().getByRole('alert').getByText('Not sent: Carol is not in the group').waitFor();
});

test('a member who is added again reads on', async () => {
  await alice().getByRole('button', { name: 'Add Carol' }).click();
  await shows(carol(), 'I added Carol.');
  await shows(carol(), 'A surprise for Carol');
  await send(carol(), 'Thank you!');
  await shows(bob(), 'Thank you!');
});

test('a new phone reads nothing before the key is restored, and then the old messages', async () => {
  await page.getByText('Alice and Bob', { exact: true }).click();
  await alice().getByText('A new phone for Alice').click();
  await alice().getByLabel('Back up Alice’s key with a password').fill('correct horse');
  await alice().getByRole('button', { name: 'Back up' }).click();
  await alice().getByText('Her key is backed up').waitFor();
  await alice().getByRole('button', { name: 'Take the new phone' }).click();
  await shows(newPhone(), 'Locked. This phone does not have Alice’s key.');
  expect(await textsOf(newPhone())).not.toContain('Dinner');

  const password = newPhone().getByLabel('The password of the backup');
  await password.fill('wrong');
  await password.press('Enter');
  await newPhone().getByRole('alert').getByText('not the password').waitFor();
  await password.fill('correct horse');
  await password.press('Enter');
  await shows(newPhone(), 'Dinner at eight?');
  await shows(newPhone(), 'Back again');
  await page.getByText('A group of three').click();
  await shows(newPhone(), 'A surprise for Carol');
  await page.reload();
  await shows(newPhone(), 'A surprise for Carol');
});

test.each(['light', 'dark'] as const)(
  '%s: no fault that axe finds, nothing wider than the window',
  async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 844 });
      const { violations } = (await page.evaluate(`${axe.source}; axe.run()`)) as AxeResults;
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  },
);

test('works by keyboard', async () => {
  await page.reload();
  await shows(bob(), 'Thank you!');
  const focused = () =>
    page.evaluate(
      'document.activeElement.ariaLabel ?? document.activeElement.textContent',
    ) as Promise<string>;
  const tabTo = async (name: string) => {
    for (let stops = 0; (await focused()) !== name; stops++) {
      if (stops > 60) throw new Error(`${name} cannot be reached with the Tab key.`);
      await page.keyboard.press('Tab');
    }
  };
  await tabTo('Message from Alice’s phone to the group');
  await page.keyboard.type('By keyboard');
  await page.keyboard.press('Enter');
  await shows(bob(), 'By keyboard');
  await tabTo('Remove Carol');
});

test('npm start -- --fresh begins anew, in an open page too', async () => {
  const { port } = new URL(server.url);
  await server.interrupt();
  server = await startLocalServer({ folder, args: ['--fresh'], environment: { PORT: port } });
  await alice().getByText('No message yet').waitFor();
  complaints.length = 0; // of the attempts in between, and of the session that is gone
  await send(alice(), 'A new start');
  await shows(bob(), 'A new start');
  await rows().getByText('Saved by Alice.').waitFor();
  expect(await rows().count()).toBe(1);
  expect(await newPhone().count()).toBe(0);
});
