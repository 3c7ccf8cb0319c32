import ParseSdk from 'parse/node';

/** What Cloud Code asks Parse Server, and whether it shows the master key. */
export interface CloudRequest {
  method: string;
  path: string;
  // biome-ignore lint/suspicious/noExplicitAny: as the SDK makes it
  data: any;
  useMasterKey: boolean;
}

/**
 * Gives code of `cloud/` the global that it has inside Parse Server: the real SDK. What it asks the server comes to
 * `answer`, through the same door by which Parse Server takes the requests of its Cloud Code.
 */
export function becomeCloudCode(answer: (request: CloudRequest) => object): void {
  Object.assign(globalThis, { Parse: ParseSdk });
  const controller = ParseSdk.CoreManager.getRESTController();
  ParseSdk.CoreManager.setRESTController({
    ...controller,
    request: async (method, path, data, options) =>
      answer({ method, path, data, useMasterKey: options?.useMasterKey === true }),
  });
}

/**
 * What a `beforeSave` trigger is handed, as Parse Server makes it (`RestWrite.buildParseObjects`).
 *
 * @param written the body of the request
 * @param stored the row that is updated; none on create
 */
export function objectsOfSave(className: string, written: object, stored?: { objectId: string }) {
  const object = Parse.Object.fromJSON({ className, ...stored });
  object.set(Parse._decode(null, structuredClone(written)));
  return { object, ...(stored && { original: Parse.Object.fromJSON({ className, ...stored }) }) };
}
