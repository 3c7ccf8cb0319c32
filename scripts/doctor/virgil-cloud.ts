import { CredentialError, type Environment, serviceUrl } from '../../cloud/credentials';
import { codeIn, parsed, request, whyUnreachable } from '../command-line/bounded-request';
import { type Answer, inShort } from '../command-line/parse-app';
import { type Finding, fault, ok, warning } from './finding';

/**
 * Asks Virgil Cloud for the user's own cards, as E3Kit does. It alone tells whether the application and its App Key are
 * those that Virgil knows.
 *
 * @param token a Virgil JWT of that user
 */
export async function checkVirgilCloud(
  token: string,
  identity: string,
  environment: Environment,
): Promise<Finding> {
  const check = 'Virgil Cloud';
  let url: string;
  try {
    url = serviceUrl(environment, 'VIRGIL_API_URL');
  } catch (error) {
    if (error instanceof CredentialError) return fault(check, error.message);
    throw error;
  }
  let answer: Pick<Answer, 'status' | 'code'>;
  try {
    const { status, text } = await request(`${url}/card/v5/actions/search`, {
      method: 'POST',
      headers: { Authorization: `Virgil ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ identities: [identity] }),
    });
    answer = { status, code: codeIn(parsed(text) ?? {}) };
  } catch (error) {
    return warning(check, `${url} cannot be asked: ${whyUnreachable(error as Error)}.`);
  }
  if (answer.status === 200) return ok(check, 'takes the token');
  return answer.status === 401
    ? fault(
        check,
        `${url} does not take the token (${inShort(answer)}): set the VIRGIL_APP_ID, VIRGIL_APP_KEY_ID and VIRGIL_APP_KEY ` +
          'of one application on the server, and its VIRGIL_API_URL here if it has another.',
      )
    : warning(
        check,
        `${url} does not answer as it should (${inShort(answer)}): try again, or check VIRGIL_API_URL.`,
      );
}
