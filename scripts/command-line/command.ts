import { inspect, parseArgs } from 'node:util';
import { isPackaged } from '../project/bundle';
import { type Command, commands, type Option } from './commands';
import { harmless } from './shown';
import { asTyped } from './typed';
import { UserError } from './user-error';

type Name = keyof typeof commands;
type Values<Of extends Name> = ReturnType<
  typeof parseArgs<{ options: (typeof commands)[Of]['options'] }>
>['values'];

/**
 * Runs a command, or prints its `--help`. A `UserError`, or an argument that the command does not take, becomes its message
 * on stderr; any other error keeps its stack. All exit with 1.
 *
 * @param run gets the values of the command's own options, and what the command passes on
 * @param separate of a command that passes arguments on to another program: tells them from its own
 */
export function runCommand<Of extends Name, PassedOn = undefined>(
  name: Of,
  run: (values: Values<Of>, passedOn: PassedOn) => Promise<void>,
  separate?: (args: string[]) => { own: string[]; passedOn: PassedOn },
): void {
  const command: Command = commands[name];
  const args = process.argv.slice(2);
  if (isHelp(args)) {
    console.log(helpOf(name));
    return;
  }
  const start = async () => {
    const { own, passedOn } = separate?.(args) ?? { own: args, passedOn: undefined as PassedOn };
    const { values } = parseArgs({ args: own, options: command.options });
    await run(values as Values<Of>, passedOn);
  };
  start().catch((error: Error & { code?: unknown }) => {
    console.error(harmless(messageFor(error, typed(name))));
    process.exit(1);
  });
}

export function isHelp(args: string[]): boolean {
  return args.includes('--help') || args.includes('-h');
}

/** As a user types it, with options behind it. */
function typed(name: Name): string {
  // It is for an app's project, and so in the package alone.
  if (name === 'init') return 'npx --no -- back4app-e2ee init';
  return asTyped(`${name === 'start' ? 'npm start' : `npm run ${name}`} -- `).trimEnd();
}

/** @param error whose `code` is a string where Node made it, and a number where MongoDB or Parse did */
function messageFor(error: Error & { code?: unknown }, command: string): string {
  // Its own message repeats the argument, which npm makes of an option's value: perhaps a secret.
  if (error.code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') {
    return isPackaged
      ? `What is no option is not taken: ${command} --option value`
      : `Options go behind a "--" of their own, or npm takes them for itself: ${command} --option value`;
  }
  if (String(error.code).startsWith('ERR_PARSE_ARGS')) {
    const [sentence] = error.message.split(/\. |\n/);
    return `${sentence}. ${command} --help tells which options there are.`;
  }
  return error instanceof UserError ? asTyped(error.message) : inspect(error);
}

export function helpOf(name: Name): string {
  const { does, options, passesOnTo, environment, example }: Command = commands[name];
  const shown = Object.entries(options).flatMap(([option, { value, help }]: [string, Option]) =>
    help ? [[value ? `--${option} ${value}` : `--${option}`, help] as const] : [],
  );
  return [
    `${typed(name)} [options]${passesOnTo ? ` [what is for ${passesOnTo}]` : ''}`,
    does,
    table('Options', [...shown, ['--help', 'print this']]),
    table('Environment, or .env', Object.entries(environment)),
    `Example\n  ${asTyped(example)}`,
  ]
    .filter(Boolean)
    .join('\n\n');
}

function table(title: string, rows: (readonly [string, string])[]): string {
  if (rows.length === 0) return '';
  const width = Math.max(...rows.map(([name]) => name.length));
  return [title, ...rows.map(([name, help]) => `  ${name.padEnd(width)}  ${help}`)].join('\n');
}
