import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { runCommand } from './command-line/command';
import { chromiumOptions } from './local/chromium';
import { withTemporaryServer } from './local/temporary-server';
import { projectRoot } from './project/bundle';

const PICTURE = join(projectRoot, 'docs/page.png');

// Takes the README's picture: the page of `npm start`, after its two messages and a photo.
runCommand('screenshot', () =>
  withTemporaryServer(async (_folder, running) => {
    const browser = await chromium.launch(chromiumOptions());
    try {
      // The README shows it at about 900 pixels.
      const page = await browser.newPage({ viewport: { width: 1160, height: 780 }, deviceScaleFactor: 1.5 });
      await page.goto(await running);
      await page.getByText('What a relief!').nth(1).waitFor();
      await page.getByRole('button', { name: 'Send a photo' }).press('Enter');
      await page.getByRole('img', { name: 'Noise' }).waitFor();
      await page.locator('figure img').nth(1).waitFor();
      await page.evaluate('document.activeElement.blur()');
      await page.screenshot({ path: PICTURE, animations: 'disabled' });
    } finally {
      await browser.close();
    }
    console.log(PICTURE);
  }),
);
