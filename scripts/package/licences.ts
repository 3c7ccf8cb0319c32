import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Package {
  name: string;
  version: string;
  license: string;
  author: string;
  /** What it brings along. */
  text?: string;
}

/**
 * The licences of the packages that files come from, in one text.
 *
 * @param files paths below a `node_modules`; others are our own
 * @throws Error for a package whose licence cannot be told
 */
export function licencesOf(files: string[]): string {
  const folders = new Set(files.map(packageFolder).filter((folder) => folder !== undefined));
  const packages = [...folders].map(readPackage).sort((a, b) => a.name.localeCompare(b.name));
  return packages
    .map((one) => `${one.name} ${one.version} (${one.license})\n\n${textOf(one, packages)}\n`)
    .join(`\n${'-'.repeat(80)}\n\n`);
}

function packageFolder(file: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

function readPackage(folder: string): Package {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { name, version, license, licenses, author } = manifest;
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  return {
    name,
    version,
    license: license ?? licenses?.[0].type ?? 'see below',
    author: author?.name ?? author,
    ...(file && { text: readFileSync(join(folder, file), 'utf8').trim() }),
  };
}

/** A package that has no text of its own has that of another by the same author, under the same licence. */
function textOf({ name, license, author, text }: Package, packages: Package[]): string {
  const given =
    text ?? packages.find((one) => one.text && one.license === license && one.author === author)?.text;
  if (!given) throw new Error(`${name} is compiled in, and brings no licence (${license}, ${author}).`);
  return given;
}
