/** How long the commands wait for an answer, to its end. */
const TIMEOUT_MS = 10_000;
/** How large an answer may be. A page of rows is the largest. */
const MAX_ANSWER_BYTES = 32 * 2 ** 20;
// Of nested values. What is deeper than any answer would overflow the stack where it is compared or written.
const MAX_DEPTH = 100;

/** An answer of more than `MAX_ANSWER_BYTES`. */
export class TooLarge extends Error {}

/**
 * Sends a request, and reads all of the answer within limits of time and size.
 *
 * @throws what `fetch` throws, `TooLarge`, or a DOMException named TimeoutError
 */
export async function request(url: string, init: RequestInit): Promise<{ status: number; text: string }> {
  const response = await fetch(url, {
    ...init,
    // Keys, passwords and tokens are for this server, not for the one that it points at.
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new TooLarge();
    chunks.push(chunk);
  }
  return { status: response.status, text: Buffer.concat(chunks).toString('utf8') };
}

/** @returns the object or array that a text is in JSON; undefined where it is neither, or nested too deep */
export function parsed(text: string): Record<string, unknown> | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  return typeof json === 'object' && json !== null && !isTooDeep(json)
    ? (json as Record<string, unknown>)
    : undefined;
}

function isTooDeep(json: object): boolean {
  let level: unknown[] = [json];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true;
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    );
  }
  return false;
}

/** The code of an error, of Parse's or of Virgil's. */
export function codeIn(body: Record<string, unknown>): number | undefined {
  return Number.isSafeInteger(body.code) ? (body.code as number) : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const UNREACHABLE: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'there is no such host, or no network',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what listens there speaks no TLS: http:// perhaps, or another port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'what listens there speaks no TLS: http:// perhaps, or another port',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: "its certificate is not valid yet, or this machine's clock is wrong",
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself, which clients refuse too',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by an authority that this machine does not know',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate is signed by an authority that this machine does not know',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate of who signed its certificate is not sent along',
};

/** @param error what `request` rejects with */
export function whyUnreachable(error: Error): string {
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} seconds`;
  if (error instanceof TooLarge) return `its answer is larger than ${MAX_ANSWER_BYTES / 2 ** 20} MB`;
  // Fails before it is sent.
  if (!error.cause) return 'a key has a character in it that no key has';
  const { code = 'no connection' } = error.cause as { code?: string };
  return UNREACHABLE[code] ?? code;
}
