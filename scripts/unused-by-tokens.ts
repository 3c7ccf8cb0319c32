/**
 * Stands in, in `cloud/main.js`, for packages that virgil-sdk imports and a token never needs (87 KB of them):
 * `fetch-ponyfill`, which it asks for the fetch API, and those of its key storage.
 */
export default () => globalThis;
