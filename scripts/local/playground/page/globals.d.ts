/** Set by the build. */
declare const PARSE_APP_ID: string;

declare module 'process/browser.js';
