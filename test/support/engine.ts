const { TEST_DATABASE_URI } = process.env;

/** Whether the tests run on PGlite, as they do unless `npm run test:engines` gives them a server. */
export const onPGlite = TEST_DATABASE_URI === undefined;

/** Whether the database is MongoDB; if not, it is PostgreSQL. */
export const onMongoDb = TEST_DATABASE_URI?.startsWith('mongodb') ?? false;
