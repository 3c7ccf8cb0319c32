// The package's program: `npx --no -- back4app-e2ee COMMAND`. A command is loaded when it is called.
import { join } from 'node:path';
import { partsToInstall } from '../local/parts';
import { projectRoot } from '../project/bundle';
import { helpOf, isHelp } from './command';
import { commands } from './commands';

const PACKAGED_COMMANDS = {
  init: () => import('../init'),
  build: () => import('../build'),
  doctor: () => import('../doctor'),
  schema: () => import('../schema'),
  deploy: () => import('../deploy'),
  start: () => import('../start'),
};
type Name = keyof typeof PACKAGED_COMMANDS;

const USAGE = [
  'npx --no -- back4app-e2ee COMMAND [options]',
  ...Object.keys(PACKAGED_COMMANDS).map((name) => `  ${name.padEnd(8)}${commands[name as Name].does}`),
  'Each has --help.',
].join('\n');

/** @returns what is wrong with how we were called, or with what is installed */
async function main([name = '', ...args]: string[]): Promise<string | undefined> {
  if (name === '' || isHelp([name])) {
    console.log(USAGE);
    return;
  }
  if (!Object.hasOwn(PACKAGED_COMMANDS, name)) return `There is no such command.\n${USAGE}`;
  if (isHelp(args)) {
    console.log(helpOf(name as Name));
    return;
  }
  const missing = name === 'start' && partsToInstall();
  if (missing) return missing;
  process.argv.splice(2, 1); // a command's arguments are where npm puts them
  await PACKAGED_COMMANDS[name as Name]();
}

// Some package managers keep us where the app's own packages are out of sight.
module.paths.push(join(projectRoot, 'node_modules'));
main(process.argv.slice(2)).then((fault) => {
  if (fault === undefined) return;
  console.error(fault);
  process.exitCode = 1;
});
