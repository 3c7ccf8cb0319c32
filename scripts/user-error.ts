/** A fault that the user can mend. Its message says how, and is all that a command prints of it. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/**
 * Runs a command: a `UserError`, or an argument that the command does not take, becomes its message on stderr; any other
 * error keeps its stack. All exit with 1.
 */
export function runCommand(command: () => Promise<void>): void {
  command().catch((error: Error & { code?: unknown }) => {
    console.error(messageFor(error));
    process.exit(1);
  });
}

/** @param error whose `code` is a string where Node made it, and a number where MongoDB or Parse did */
function messageFor(error: Error & { code?: unknown }): unknown {
  // Its own message repeats the argument, which npm makes of an option's value: perhaps a secret.
  if (error.code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') {
    return 'Options go behind a "--" of their own, or npm takes them for itself: npm run … -- --option value';
  }
  return error instanceof UserError || String(error.code).startsWith('ERR_PARSE_ARGS')
    ? error.message
    : error;
}
