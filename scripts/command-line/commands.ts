/** An option, as `parseArgs` takes it and as `--help` shows it. */
export interface Option {
  type: 'string' | 'boolean';
  multiple?: boolean;
  default?: string | boolean;
  /** What stands for its value. */
  value?: string;
  /** Without it the option is not shown: it is there to be refused in words. */
  help?: string;
}

/** What `--help` says of a command, and the table of commands in docs/. */
export interface Command {
  /** What it does, as a sentence. */
  does: string;
  options: Readonly<Record<string, Option>>;
  /** The program that gets the arguments which are not named here. */
  passesOnTo?: string;
  /** The variables that it reads, there or in `.env`. */
  environment: Readonly<Record<string, string>>;
  example: string;
}

const APP_OPTIONS = {
  server: {
    type: 'string',
    value: 'URL',
    help: "the app's REST API, such as https://parseapi.back4app.com",
  },
  'app-id': { type: 'string', value: 'ID', help: 'its application ID' },
  'rest-key': { type: 'string', value: 'KEY', help: 'its REST API key, where it has one' },
  'master-key': { type: 'string' },
} as const;

const VIRGIL = {
  VIRGIL_APP_ID: "the Virgil application's ID",
  VIRGIL_APP_KEY_ID: "its App Key's ID",
  VIRGIL_APP_KEY: 'its App Key',
};
const NEXMO = {
  NEXMO_APP_ID: "the Vonage application's ID",
  NEXMO_PRIVATE_KEY: 'its private key',
  NEXMO_API_URL: "Vonage's API in another data centre",
};
const VIRGIL_API_URL = { VIRGIL_API_URL: 'another Virgil Cloud than https://api.virgilsecurity.com' };
const PARSE_REST_KEY = { PARSE_REST_KEY: 'for want of --rest-key' };

/** The commands, as `npm run` knows them. `init` is for an app's project: only the package has it. */
export const commands = {
  init: {
    does: "Puts the package into an app's project: policy, bundle, the require in its main.js. Shows the difference first, and asks.",
    options: {
      class: { type: 'string', value: 'NAME', help: 'a class to guard; what is not given is asked for' },
      encrypted: { type: 'string', value: 'FIELDS', help: 'its fields that hold ciphertext: text,subject' },
      plain: {
        type: 'string',
        value: 'FIELDS',
        help: "its other fields, with types or without: 'from:Pointer<_User>,sentAt:Date'",
      },
      sender: {
        type: 'string',
        value: 'FIELD',
        help: 'the plain field that holds the user who wrote the row',
      },
      mode: {
        type: 'string',
        value: 'MODE',
        help: 'report or enforce; default: report, but where --server shows that the class has no rows',
      },
      ...APP_OPTIONS,
      yes: { type: 'boolean', default: false, help: 'do not ask; the class and its fields must be given' },
      'dry-run': { type: 'boolean', default: false, help: 'show the difference, and stop there' },
    },
    environment: {
      PARSE_MASTER_KEY: "the app's master key, with --server: to read its schema, and propose fields",
      ...PARSE_REST_KEY,
    },
    example:
      "npx --no -- back4app-e2ee init --class ChatMessage --encrypted text --plain 'from:Pointer<_User>,sentAt:Date' --sender from",
  },
  demo: {
    does: 'Tells the whole story in the terminal: two users, one encrypted message, the row as the database holds it, plaintext refused.',
    options: {},
    environment: {},
    example: 'npm run demo',
  },
  start: {
    does: "Runs Parse Server, a database and a local Virgil Cloud on this machine: with a page to try them by, or with an app's own Cloud Code.",
    options: { fresh: { type: 'boolean', default: false, help: 'begin anew: delete the state in .local/' } },
    environment: {
      PORT: 'default: 1337',
      HOST: 'the address to listen on; default: 127.0.0.1',
      PARSE_APP_ID: 'default: e2ee-local',
      PARSE_MASTER_KEY: 'default: made at the first start',
      DATABASE_URI: 'a database server, mongodb://… or postgres://…; default: an embedded one in .local/',
      DATABASE: 'the embedded one, mongodb or postgres; default: MongoDB where it can run',
      ...VIRGIL,
      ...NEXMO,
    },
    example: 'PORT=8080 npm start -- --fresh',
  },
  build: {
    does: 'Writes the bundle, one file of Cloud Code, with the policy of back4app.json in front.',
    options: {
      outfile: {
        type: 'string',
        value: 'FILE',
        help: "where to write it, missing folders too; default: cloud/main.js here, cloud/e2ee.js in an app's project",
      },
    },
    environment: {},
    example: 'npm run build -- --outfile ../my-app/cloud/e2ee.js',
  },
  schema: {
    does: 'Brings the classes of a live app to what back4app.json says, and only tightens permissions. Shows the difference first, and asks.',
    options: {
      ...APP_OPTIONS,
      yes: { type: 'boolean', default: false, help: 'do not ask' },
    },
    environment: {
      PARSE_MASTER_KEY: "the app's master key; asked for where it is not set",
      ...PARSE_REST_KEY,
    },
    example: 'npm run schema -- --server https://parseapi.back4app.com --app-id YOUR_APP_ID',
  },
  deploy: {
    does: 'Builds, checks, says what the live release would lose, asks, keeps that release in .local/releases/, and has b4a deploy.',
    options: {
      'dry-run': {
        type: 'boolean',
        default: false,
        help: 'build, check and say what would be lost, and stop there',
      },
      yes: { type: 'boolean', default: false, help: 'do not ask, but where files would be lost' },
      'replace-release': {
        type: 'boolean',
        default: false,
        help: 'do not ask, even where files of the live release would be lost, or it cannot be seen',
      },
    },
    passesOnTo: 'b4a deploy',
    environment: { ...VIRGIL, ...NEXMO },
    example: 'npm run deploy -- --yes -d "second release"',
  },
  doctor: {
    does: 'Checks credentials, policy and bundle here, or a deployed app where one is named, and says how to mend each fault.',
    options: {
      ...APP_OPTIONS,
      main: {
        type: 'string',
        value: 'FILE',
        help: 'a main.js of your own, to see that it requires the bundle first; it is read, not run',
      },
      row: {
        type: 'string',
        value: 'FILE',
        help: 'JSON with values for the plain fields of its rows, by class, where your own code wants real ones',
      },
      copies: {
        type: 'string',
        value: 'CLASS.FIELD,…',
        help: 'fields of other classes into which your triggers copy what is encrypted; asked for where not given',
      },
      password: { type: 'string' },
      json: { type: 'boolean', default: false, help: 'print what was found as JSON' },
    },
    environment: {
      DOCTOR_USER: 'the name of a user of the app, who saves, reads and deletes a row of each class',
      DOCTOR_PASSWORD: 'the password; asked for where it is not set, like the name and the master key',
      PARSE_MASTER_KEY: "the app's master key, to look at its schema and its rows",
      ...PARSE_REST_KEY,
      ...VIRGIL,
      ...VIRGIL_API_URL,
      ...NEXMO,
    },
    example: 'npm run doctor -- --server https://parseapi.back4app.com --app-id YOUR_APP_ID',
  },
  prepack: {
    does: 'Makes what npm pack packs: the bundle before it has a policy, one command-line file, types, licences.',
    options: {},
    environment: {},
    example: 'npm pack',
  },
  bench: {
    does: 'Measures what tokens and guarded saves cost, as ratios. Takes five minutes.',
    options: {
      database: {
        type: 'string',
        value: 'URI',
        help: 'a database server, mongodb://… or postgres://…, for a database that is dropped afterwards; default: PGlite',
      },
      growth: {
        type: 'boolean',
        default: false,
        help: 'measure instead what calls cost among up to a million sessions and messages, with larger ones, and on two processes',
      },
      redis: {
        type: 'string',
        value: 'URL',
        help: 'a Redis that is ours to empty, redis://…, for --growth on two processes; without it they are left out',
      },
      page: {
        type: 'boolean',
        default: false,
        help: 'measure everything on the PostgreSQL and the MongoDB on the PATH, with its Redis, and write docs/performance.md',
      },
      json: { type: 'boolean', default: false, help: 'print the tables as JSON' },
    },
    environment: {},
    example: 'npm -s run bench -- --database postgres://127.0.0.1/postgres --json',
  },
  screenshot: {
    does: 'Takes the picture of the page in docs/, with a Chromium on this machine.',
    options: {},
    environment: {},
    example: 'npm run screenshot',
  },
  'test:oldest': {
    does: 'Runs the tests of cloud/ and of schema on Parse Server 5.6, which it downloads, and the local stack on 6, 7, 8 and 9.',
    options: {},
    environment: {},
    example: 'npm run test:oldest',
  },
  'test:engines': {
    does: 'Runs the tests that have to do with the database on a real MongoDB and on a real PostgreSQL, there with several servers too, and on PGlite.',
    options: {
      engine: {
        type: 'string',
        multiple: true,
        value: 'NAME',
        help: 'only this one, mongodb, postgres or pglite; may be given more than once',
      },
      require: {
        type: 'boolean',
        default: false,
        help: 'fail where an engine or Redis is missing, rather than skip it',
      },
    },
    environment: {
      MONGODB_URI: 'a MongoDB server; default: the mongod on the PATH',
      POSTGRES_URI: 'a PostgreSQL server; default: the postgres on the PATH',
      REDIS_URL: 'a Redis that is ours to empty, for several servers; default: the redis-server on the PATH',
    },
    example: 'npm run test:engines -- --engine postgres --require',
  },
  'test:clients': {
    does: 'Runs the Java and Python samples in docs/, with the libraries that they need, against the local server and E3Kit.',
    options: {
      require: {
        type: 'boolean',
        default: false,
        help: 'fail where a JDK, Maven or Python is missing, rather than skip the sample',
      },
    },
    environment: {},
    example: 'npm run test:clients -- --require',
  },
} as const satisfies Record<string, Command>;
