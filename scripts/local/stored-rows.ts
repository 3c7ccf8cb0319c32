import type { Db } from 'mongodb';

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
  /** All rows of all classes, as JSON in the database's own form. */
  dump(): Promise<string>;
}

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

type EngineSide = Pick<StoredRows, 'breakReads' | 'mendReads' | 'makeIndex' | 'dump'>;

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
    async dump() {
      const tables = await client.any("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
      const dump: Row[][] = [];
      for (const { tablename } of tables) dump.push(await client.any(`SELECT * FROM "${tablename}"`));
      return JSON.stringify(dump);
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
    async dump() {
      const collections = await database.collections();
      return JSON.stringify(await Promise.all(collections.map((collection) => collection.find().toArray())));
    },
  };
}
