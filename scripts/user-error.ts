/** A fault that the user can mend. Its message says how, and is all that a command prints of it. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** Runs a command: a `UserError` becomes its message on stderr, any other error keeps its stack; both exit with 1. */
export function runCommand(command: () => Promise<void>): void {
  command().catch((error: unknown) => {
    console.error(error instanceof UserError ? error.message : error);
    process.exit(1);
  });
}
