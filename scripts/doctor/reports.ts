import type { Policy } from '../../cloud/policy';
import { inShort, type ParseApp } from '../command-line/parse-app';
import { type Findings, ok, skipped, warning } from './finding';
import { CLOCK_SKEW_SECONDS } from './virgil-token';

/**
 * Looks in the log for what the guard wrote of the plaintext that the doctor has saved in classes that only report.
 *
 * @param since when the doctor began, in milliseconds since 1970
 */
export async function* checkReports(
  app: ParseApp,
  policy: Policy,
  since: number,
  masterKey: string,
): Findings {
  const reporting = Object.entries(policy.classes).filter(
    ([, { mode, encrypted }]) => mode === 'report' && encrypted.length > 0,
  );
  if (reporting.length === 0) return;
  const from = new Date(since - CLOCK_SKEW_SECONDS * 1000).toISOString();
  const parameters = new URLSearchParams({ level: 'info', size: '1000', from });
  const answer = await app.call('GET', `/scriptlog?${parameters}`, undefined, { masterKey });
  for (const [className] of reporting) {
    const check = `${className} reports`;
    if (!Array.isArray(answer.body))
      yield skipped(check, `the server does not show its log (${inShort(answer)}).`);
    else if (JSON.stringify(answer.body).includes(`e2ee report: ${className}: `))
      yield ok(check, 'are in the log');
    else {
      yield warning(
        check,
        'are not in the log: npm run deploy, and set Parse Server\'s option logLevel to "info" or "warn".',
      );
    }
  }
}
