import { keepFunctions, logError } from '../triggers/parse-server-internals';

// On each handler of ours, for the bundle of every load and version that shares the process.
const OURS = Symbol.for('back4app-e2ee: handler');

/**
 * Defines our Cloud Functions, each also under a name that GraphQL takes: `virgilJwt` for `virgil-jwt`. A definition of
 * another handler under one of these names, which would replace ours, is left out.
 */
export function defineFunctions(functions: Record<string, Parameters<typeof Parse.Cloud.define>[1]>): void {
  const isOurs = (handler: object) => OURS in handler;
  keepFunctions(isOurs, (name) => {
    logError(
      `e2ee: another definition of the Cloud Function ${name} was left out. Remove it. To add a check of your own, define a ` +
        "function of another name, and return require('./e2ee').virgilJwt(request) from it.",
    );
  });
  for (const [name, handler] of Object.entries(functions)) {
    const graphQLName = name.replace(/-(\w)/g, (_hyphen, letter: string) => letter.toUpperCase());
    Object.assign(handler, { [OURS]: true });
    Parse.Cloud.define(name, handler);
    Parse.Cloud.define(graphQLName, handler);
  }
}
