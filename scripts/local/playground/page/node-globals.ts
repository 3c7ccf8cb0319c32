// E3Kit 3.0 takes these globals of Node for granted; without `process` only its groups fail.
export { Buffer } from 'buffer';
export * as process from 'process/browser.js';
