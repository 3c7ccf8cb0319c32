import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { runCommand } from './command-line/command';
import { chromiumOptions } from './local/chromium';
import { withTemporaryServer } from './local/temporary-server';
import { projectRoot } from './project/bundle';

const PICTURE = join(projectRoot, 'docs/page.png');

// Takes the README's picture: the page of `npm start`, after a message, and one that was not encrypted.
runCommand('screenshot', () =>
  withTemporaryServer(async (_folder, running) => {
    const browser = await chromium.launch(chromiumOptions());
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
      await page.goto(await running);
      const phone = (name: string) => page.getByRole('region', { name: `${name}’s phone`, exact: true });
      const send = async (from: string, text: string) => {
        await phone(from).getByRole('textbox', { name: 'Message from' }).fill(text);
        await phone(from).getByRole('button', { name: 'Send' }).click();
      };
      await send('Alice', 'The results are here: all clear.');
      await phone('Bob').getByRole('log').getByText('all clear').waitFor();
      await phone('Alice').getByRole('switch').check();
      await send('Alice', 'The door code is 4711');
      await page.getByText('Refused: nothing was stored').waitFor();
      await page.screenshot({ path: PICTURE, animations: 'disabled' });
    } finally {
      await browser.close();
    }
    console.log(PICTURE);
  }),
);
