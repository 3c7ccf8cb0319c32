import type { ErrorRequestHandler } from 'express';

/**
 * The codes of error answers. Those that official clients act upon are Virgil's own; the others are ours, in
 * the range of the service they belong to.
 */
export const ErrorCode = {
  internal: 10000,
  malformedRequest: 10001,
  notFound: 10002,
  /** Virgil's "access token expired", the one code on which `virgil-sdk` fetches a new token and tries again. */
  accessTokenRefused: 20304,
  cardNotFound: 30001,
  cardRefused: 30002,
  cardOfAnotherIdentity: 30003,
  stalePreviousHash: 50001,
  /** Virgil's code; the Keyknox client turns it into `GroupTicketAlreadyExistsError`. */
  ticketExists: 50010,
  /** Virgil's code; E3Kit waits two seconds and tries again. */
  tooManyBrainKeys: 60007,
} as const;

/** An answer other than success: `{ code, message }` with the HTTP status. The message names no secret. */
export class VirgilError extends Error {
  constructor(
    readonly status: number,
    readonly code: (typeof ErrorCode)[keyof typeof ErrorCode],
    message: string,
  ) {
    super(message);
  }
}

/** Answers every error in Virgil's shape. What is no `VirgilError` nor the client's fault goes to the log, too. */
export const answerError: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const { status, code, message } = error instanceof VirgilError ? error : translate(error);
  response.status(status).json({ code, message });
};

// The messages of Express quote the request, so they are neither sent nor logged.
function translate(error: { status?: number; type?: string; stack?: string }): VirgilError {
  const { status } = error;
  if (status === 413)
    return new VirgilError(413, ErrorCode.malformedRequest, 'The request body is too large.');
  if (status && status >= 400 && status < 500) {
    return new VirgilError(
      status,
      ErrorCode.malformedRequest,
      'The request is malformed: its body must be JSON.',
    );
  }
  console.error(`Local Virgil Cloud: ${error.stack}`);
  return new VirgilError(500, ErrorCode.internal, 'The local Virgil Cloud failed; its log says why.');
}
