import { relative, resolve } from 'node:path';

/**
 * Parse Server's `filesAdapter` for a database. MongoDB takes the files in (GridFS, Parse Server's own choice); beside
 * PostgreSQL, for which Parse Server has none, the adapter that it brings along keeps them in a folder.
 */
export function filesAdapterFor(databaseURI: string, folder: string): object | undefined {
  if (databaseURI.startsWith('mongodb')) return undefined;
  // Its folder is one in `files/`, whatever is said.
  const filesSubDirectory = relative(resolve('files'), folder);
  return { module: '@parse/fs-files-adapter', options: { filesSubDirectory } };
}
