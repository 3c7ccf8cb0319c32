/**
 * Stands in, in `cloud/main.js`, for packages that virgil-sdk imports and a token never needs (87 KB of them):
 * `fetch-ponyfill`, which it asks for the fetch API when it is loaded, and those of its key storage. Not even the global
 * `fetch`: to touch it is to load it, and takes longer than all the rest.
 */
export default () => ({});
