/**
 * Stands in, in `cloud/main.js`, for the package that virgil-sdk encodes tokens with. Theirs works in JavaScript, byte by
 * byte, and takes a third of what a token costs besides its signature.
 */
export default {
  encode: (latin1: string) => Buffer.from(latin1, 'latin1').toString('base64'),
  decode: (base64: string) => Buffer.from(base64, 'base64').toString('latin1'),
};
