import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type Finding, ok, warning } from './finding';
import { isBundle, withoutComments } from './main-file';

// Our Cloud Functions, by their names and those for GraphQL.
export const FUNCTIONS = [
  'virgil-jwt',
  'virgilJwt',
  'nexmo-jwt',
  'nexmoJwt',
  'nexmo-create-user',
  'nexmoCreateUser',
];
const DEFINITION = /\bParse\.Cloud\.define\(\s*(['"`])([\w-]+)\1/g;

/** Looks for definitions of our functions in an app's own Cloud Code: the bundle leaves them out. @param main its `main.js` */
export function checkDefinitions(main: string): Finding {
  const check = 'second definitions';
  const found = sourcesIn(dirname(main)).flatMap((file) => {
    const source = readFileSync(file, 'utf8');
    if (isBundle(source)) return [];
    const code = withoutComments(source);
    return [...code.matchAll(DEFINITION)]
      .filter(([, , name]) => FUNCTIONS.includes(name as string))
      .map(
        ({ 2: name, index }) =>
          `${name} (${relative('.', file)}, line ${code.slice(0, index).split('\n').length})`,
      );
  });
  return found.length > 0
    ? warning(
        check,
        `your app defines ${found.join(', ')}, which the bundle leaves out: remove that. To add a check of your own, define a function ` +
          "of another name, and return require('./e2ee').virgilJwt(request) from it.",
      )
    : ok(check, 'your app defines no function of ours (read, not run)');
}

function sourcesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : sourcesIn(path);
    return entry.isFile() && /\.[cm]?js$/.test(entry.name) ? [path] : [];
  });
}
