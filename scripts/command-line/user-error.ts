/** A fault that the user can mend. Its message says how, and is all that a command prints of it. */
export class UserError extends Error {
  override readonly name = 'UserError';
}
