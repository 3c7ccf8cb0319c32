import { createHash } from 'node:crypto';
import type { Db, Document } from 'mongodb';

/** A row as it is stored, by Parse's names of its fields, `_rperm` and `_wperm` among them. */
export type Row = Record<string, unknown>;

/**
 * The rows of a Parse Server's database, past its triggers, permissions and checks. Queries and values are those of the REST
 * API, and the same on MongoDB and PostgreSQL.
 */
export interface StoredRows {
  find(className: string, where: Row): Promise<Row[]>;
  insert(className: string, rows: Row[]): Promise<void>;
  update(className: string, where: Row, fields: Row): Promise<void>;
  delete(className: string, where: Row): Promise<void>;
  /** Makes every read of a class fail, until `mendReads`. A class that is not there would be an empty one. */
  breakReads(className: string): Promise<void>;
  mendReads(className: string): Promise<void>;
  /** Makes an index of a field, by the name under which it is stored. */
  makeIndex(className: string, storedField: string): Promise<void>;
  /** Drops one that `makeIndex` has made. */
  dropIndex(className: string, storedField: string): Promise<void>;
  /** Deletes the files that are in the database: on MongoDB all of them. */
  deleteFiles(): Promise<void>;
  /** All rows of all classes, as JSON in the database's own form. */
  dump(): Promise<string>;
  /**
   * Copies a row, fast. Copy `n` has `copyValue(n)` as its `objectId`, and in each of some fields that value behind a prefix.
   *
   * @param prefixes of such fields, by the names under which they are stored
   * @param from the `n` of the first copy
   * @param to that of the last one
   */
  copy(
    className: string,
    objectId: string,
    prefixes: Record<string, string>,
    from: number,
    to: number,
  ): Promise<void>;
  /** The engine's name and version. */
  engine(): Promise<string>;
  /** Whether the database itself can note what it is asked: PostgreSQL only with `pg_stat_statements` preloaded. */
  countsStatements(): Promise<boolean>;
  /** Has it do so from now on. */
  countStatements(): Promise<void>;
  /** What it has been asked since, without the values; in no order. Ends the counting. */
  countedStatements(): Promise<string[]>;
}

/** What sets copy `n` of a row apart: 32 hex digits. */
export const copyValue = (n: number) => createHash('md5').update(`${n}`).digest('hex');

/** @param databaseController Parse Server's own, whose adapter has the same methods on every engine */
// biome-ignore lint/suspicious/noExplicitAny: Parse Server has no types for it
export function storedRows(databaseController: any): StoredRows {
  const { adapter } = databaseController;
  const schemaOf = async (className: string) =>
    (await databaseController.loadSchema()).getOneSchema(className, true);
  return {
    find: async (className, where) => adapter.find(className, await schemaOf(className), where, {}),
    async insert(className, rows) {
      const schema = await schemaOf(className);
      for (const row of rows) await adapter.createObject(className, schema, row);
    },
    update: async (className, where, fields) =>
      adapter.updateObjectsByQuery(className, await schemaOf(className), where, fields),
    delete: async (className, where) =>
      adapter.deleteObjectsByQuery(className, await schemaOf(className), where),
    ...(adapter._client ? onPostgres(adapter._client) : onMongoDb(adapter)),
  };
}

type EngineSide = Omit<StoredRows, 'find' | 'insert' | 'update' | 'delete'>;

function onPostgres(client: { any(sql: string): Promise<Row[]> }): EngineSide {
  return {
    async breakReads(className) {
      await client.any(`ALTER TABLE "${className}" RENAME TO "kept_${className}"`);
      await client.any(
        `CREATE VIEW "${className}" AS SELECT *, 1 / (length("objectId") - length("objectId")) FROM "kept_${className}"`,
      );
    },
    async mendReads(className) {
      await client.any(`DROP VIEW "${className}"`);
      await client.any(`ALTER TABLE "kept_${className}" RENAME TO "${className}"`);
    },
    async makeIndex(className, storedField) {
      await client.any(`CREATE INDEX ON "${className}" ("${storedField}")`);
    },
    async dropIndex(className, storedField) {
      await client.any(`DROP INDEX "${className}_${storedField}_idx"`);
    },
    async deleteFiles() {},
    async dump() {
      const tables = await client.any("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
      const dump: Row[][] = [];
      for (const { tablename } of tables) dump.push(await client.any(`SELECT * FROM "${tablename}"`));
      return JSON.stringify(dump);
    },
    async copy(className, objectId, prefixes, from, to) {
      const unique = Object.entries({ objectId: '', ...prefixes }).map(
        ([field, prefix]) => `'${field}', '${prefix}' || md5(n::text)`,
      );
      // In parts, none of which takes as long as a query may on PGlite.
      for (let n = from; n <= to; n += 10_000) {
        await client.any(
          `INSERT INTO "${className}" SELECT made.* FROM "${className}" original, ` +
            `generate_series(${n}, ${Math.min(n + 9_999, to)}) n, ` +
            `LATERAL jsonb_populate_record(original, jsonb_build_object(${unique})) made ` +
            `WHERE original."objectId" = '${objectId}'`,
        );
      }
      await client.any(`VACUUM ANALYZE "${className}"`);
    },
    async engine() {
      const [row] = await client.any('SHOW server_version');
      return `PostgreSQL ${/^\S+/.exec(row?.server_version as string)}`;
    },
    async countsStatements() {
      const [row] = await client.any('SHOW shared_preload_libraries');
      return `${row?.shared_preload_libraries}`.includes('pg_stat_statements');
    },
    async countStatements() {
      await client.any('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
      await client.any('SELECT pg_stat_statements_reset()');
    },
    async countedStatements() {
      const rows = await client.any(
        `SELECT query FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid, generate_series(1, calls) ` +
          `WHERE datname = current_database() AND query NOT LIKE '%pg_stat_statements%'`,
      );
      return rows.map(({ query }) => query as string);
    },
  };
}

function onMongoDb({ database }: { database: Db }): EngineSide {
  return {
    async breakReads(className) {
      await database.renameCollection(className, `kept_${className}`);
      const pipeline = [{ $addFields: { broken: { $divide: [1, 0] } } }];
      await database.createCollection(className, { viewOn: `kept_${className}`, pipeline });
    },
    async mendReads(className) {
      await database.dropCollection(className);
      await database.renameCollection(`kept_${className}`, className);
    },
    async makeIndex(className, storedField) {
      await database.collection(className).createIndex({ [storedField]: 1 });
    },
    async dropIndex(className, storedField) {
      await database.collection(className).dropIndex(`${storedField}_1`);
    },
    async deleteFiles() {
      for (const name of ['fs.chunks', 'fs.files']) await database.collection(name).deleteMany({});
    },
    async dump() {
      const collections = await database.collections();
      return JSON.stringify(await Promise.all(collections.map((collection) => collection.find().toArray())));
    },
    async copy(className, objectId, prefixes, from, to) {
      const collection = database.collection<Document & { _id: string }>(className);
      const original = await collection.findOne({ _id: objectId });
      const copies = Array.from({ length: to - from + 1 }, (_, i) => {
        const value = copyValue(from + i);
        const unique = Object.entries(prefixes).map(([field, prefix]) => [field, prefix + value]);
        return { ...original, ...Object.fromEntries(unique), _id: value };
      });
      await collection.insertMany(copies, { ordered: false });
    },
    engine: async () => `MongoDB ${(await database.admin().serverInfo()).version}`,
    countsStatements: async () => true,
    async countStatements() {
      await database.command({ profile: 0 });
      await database.dropCollection('system.profile');
      await database.command({ profile: 2 });
    },
    async countedStatements() {
      await database.command({ profile: 0 });
      const entries = await database.collection('system.profile').find().toArray();
      return entries.filter(({ command }) => !command.profile).map(({ op, ns }) => `${op} ${ns}`);
    },
  };
}
