/** In the program's place of `fetch-ponyfill`, which brings 380 KB to Node versions that have no `fetch`: ours has. */
export = () => globalThis;
