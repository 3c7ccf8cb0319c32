import { UserError } from '../command-line/user-error';

/** What the arguments of our `deploy` say to b4a. */
export interface ForB4a {
  /** The words for `b4a deploy`, unchanged. */
  words: string[];
  /** The app that they name. */
  app?: string;
}

// The flags of b4a 3.3.1, which reads them as Go's pflag does.
const SWITCH = /^(?:--(?:force|verbose)|-[fv]+)(?:=(?:true|false))?$/;
const WITH_VALUE = /^(?:--(description|retries)(?:=(.*))?|-[fv]*([dn])(?:=?(.+))?)$/s;

/**
 * Separates our own options from the words for `b4a deploy`, wherever they stand. The value of one
 * of b4a's flags is never an option of ours: in `-d --yes`, `--yes` is the description. A `--` that
 * a package manager has passed on is dropped.
 *
 * @returns `own`: our options, and any option that neither we nor b4a have
 * @throws UserError for words with which b4a would fail, or would do nothing and report success
 */
export function separate(args: string[]): { own: string[]; passedOn: ForB4a } {
  const own: string[] = [];
  const forB4a: ForB4a = { words: [] };
  for (let i = 0; i < args.length; i++) {
    const word = args[i] as string;
    if (word === '--') continue;
    const [isWithValue, long, longValue, short, shortValue] = WITH_VALUE.exec(word) ?? [];
    if (isWithValue) {
      const inlineValue = longValue ?? shortValue;
      const value = inlineValue ?? args[++i];
      if (value === undefined) throw new UserError(`${word} needs a value.`);
      if (short === 'n' || long === 'retries') checkRetries(value);
      forB4a.words.push(word, ...(inlineValue === undefined ? [value] : []));
    } else if (SWITCH.test(word)) {
      forB4a.words.push(word);
    } else if (word.startsWith('-')) {
      own.push(word);
    } else if (forB4a.app === undefined) {
      forB4a.app = word;
      forB4a.words.push(word);
    } else {
      throw new UserError(
        `b4a deploys to one app at a time, but two are named: ${forB4a.app} and ${word}. ` +
          'Put quotation marks around a name or a description that has spaces in it.',
      );
    }
  }
  return { own, passedOn: forB4a };
}

function checkRetries(value: string): void {
  if (/^[1-9]\d*$/.test(value)) return;
  throw new UserError(`-n ${value}: b4a tries to deploy this many times, so give a number from 1 up.`);
}
