/** A fault that the user can mend. Its message says how, and is all that a command prints of it. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/**
 * Runs a command: a `UserError`, or an option that the command does not have, becomes its message on stderr; any other
 * error keeps its stack. All exit with 1.
 */
export function runCommand(command: () => Promise<void>): void {
  command().catch((error: Error & { code?: string }) => {
    const isForUser = error instanceof UserError || error.code?.startsWith('ERR_PARSE_ARGS');
    console.error(isForUser ? error.message : error);
    process.exit(1);
  });
}
