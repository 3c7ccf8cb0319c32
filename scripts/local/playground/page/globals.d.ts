/** Set by the build. */
declare const PARSE_APP_ID: string;
declare const ERASES_USERS: boolean;
declare const HAS_FILES: boolean;

declare module 'process/browser.js';
