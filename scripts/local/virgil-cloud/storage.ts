import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from '../../command-line/user-error';

/** Rows by key. All methods are synchronous; `Storage.saved` says when a change is on disk. */
export interface Table<Row> {
  get(key: string): Row | undefined;
  values(): Iterable<Row>;
  /** Sets all these rows, or after a crash none of them. */
  write(rows: [key: string, row: Row][]): void;
}

interface Storage {
  table<Row>(name: string): Table<Row>;
  /** Resolves when every change made so far is on disk. Once a write has failed, it rejects for good. */
  saved(): Promise<void>;
  close(): Promise<void>;
}

/** One line of the journal. */
type Change = [table: string, rows: [key: string, row: unknown][]];

/**
 * Opens the state: in memory, and in an append-only journal of one JSON line per change that is replayed here.
 * (Of the packages at hand none embeds a database that opens at once and survives `kill -9`.)
 * Changes that are made while the disk is busy go out together in the next write. A last line without its line
 * feed was cut off by a crash before anybody was told of it, and is dropped.
 *
 * @param file the journal's path; without it nothing is kept. One process at a time may have it open.
 * @throws UserError when a line of the journal cannot be read
 */
export async function openStorage(file?: string): Promise<Storage> {
  const tables = new Map<string, Map<string, unknown>>();
  const rowsOf = (table: string) => {
    const rows = tables.get(table) ?? new Map<string, unknown>();
    tables.set(table, rows);
    return rows;
  };
  const apply = ([table, rows]: Change) => {
    for (const [key, row] of rows) rowsOf(table).set(key, row);
  };

  const append = file ? await openJournal(file, apply) : undefined;
  let unsaved = '';
  let saving = Promise.resolve();
  let next: Promise<void> | undefined;

  const saved = () => {
    if (append && unsaved && !next) {
      next = saving.then(() => {
        const lines = unsaved;
        unsaved = '';
        next = undefined;
        return append.write(lines);
      });
      saving = next;
    }
    return saving;
  };

  return {
    table<Row>(name: string) {
      const rows = rowsOf(name) as Map<string, Row>;
      return {
        get: (key) => rows.get(key),
        values: () => rows.values(),
        write(changed) {
          const change: Change = [name, changed];
          apply(change);
          if (append && changed.length > 0) unsaved += `${JSON.stringify(change)}\n`;
        },
      };
    },
    saved,
    async close() {
      await saved().finally(() => append?.close());
    },
  };
}

async function openJournal(file: string, replay: (change: Change) => void) {
  await mkdir(dirname(file), { recursive: true });
  // It holds the BrainKey secret: nobody else may read it.
  const handle = await open(file, 'a', 0o600);
  try {
    const journal = await readFile(file);
    const end = journal.lastIndexOf('\n') + 1;
    if (end < journal.length) await handle.truncate(end);
    const lines = journal.toString('utf8', 0, end).split('\n').slice(0, -1);
    for (const [index, line] of lines.entries()) {
      try {
        replay(JSON.parse(line));
      } catch {
        throw new UserError(
          `${file} is damaged at line ${index + 1}. Restore it, or begin anew with "npm start -- --fresh".`,
        );
      }
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    async write(lines: string) {
      await handle.appendFile(lines);
      await handle.datasync();
    },
    close: () => handle.close(),
  };
}
