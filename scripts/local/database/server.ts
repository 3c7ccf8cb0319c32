import { resolveSrv } from 'node:dns/promises';
import { connect } from 'node:net';
import { UserError } from '../../command-line/user-error';
import type { Database } from '../database';

const REACHABLE_WITHIN_MS = 2000;
const HOST_AND_PORT = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::(\d+))?$/;
const ENCODE = 'In its user and password, characters such as "@", "/" and ":" must be percent-encoded.';

/**
 * Checks that something listens, since a driver would try for half a minute and then say little.
 *
 * @param uri `DATABASE_URI`, no part of whose password is ever shown
 * @throws UserError
 */
export async function openServer(uri: string): Promise<Database> {
  const [, scheme, authority = '', rest = ''] =
    /^(mongodb(?:\+srv)?|postgres(?:ql)?):\/\/([^/?#]*)(.*)$/s.exec(uri) ?? [];
  if (!scheme) throw new UserError('DATABASE_URI must start with mongodb:// or postgres://.');
  const at = authority.lastIndexOf('@');
  const hosts = authority.slice(at + 1);
  const servers = hosts.split(',').map((server) => HOST_AND_PORT.exec(server) ?? []);
  if (!servers.every(([server]) => server)) throw new UserError(`DATABASE_URI names no server. ${ENCODE}`);
  // An "@" further on may end a password that is not encoded: what looks like the hosts is then a part of it.
  const isShown = !rest.includes('@');
  const usual = scheme === 'mongodb' ? 27017 : 5432;
  const reached = servers.map(([, ipv6, name = '', port]) =>
    scheme === 'mongodb+srv'
      ? resolveSrv(`_mongodb._tcp.${name}`)
      : reach(ipv6 ?? name, Number(port ?? usual)),
  );
  await Promise.any<unknown>(reached).catch(({ errors: [{ code, message }] }: AggregateError) => {
    // The message of a system error repeats the host.
    const reason = code ?? message;
    throw new UserError(
      isShown
        ? `The server of DATABASE_URI cannot be reached at ${hosts}: ${reason}.`
        : `The server of DATABASE_URI cannot be reached: ${reason}. ${ENCODE}`,
    );
  });
  return {
    uri: `${scheme}://${hosts}${rest}`,
    options: at < 0 ? {} : credentials(scheme, authority.slice(0, at)),
    name: isShown ? `DATABASE_URI (${hosts})` : 'DATABASE_URI',
    close: async () => {},
  };
}

/** As options, since Parse Server takes a percent-encoded password of a PostgreSQL URI for the password itself. */
function credentials(scheme: string, userInfo: string): object {
  const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(userInfo) ?? [];
  const [username, secret] = [decode(user), decode(password)];
  return scheme.startsWith('mongodb')
    ? { auth: { username, password: secret } }
    : { user: username, password: secret };
}

/** What is not percent-encoded stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function reach(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: REACHABLE_WITHIN_MS });
    socket.once('connect', () => resolve(void socket.destroy()));
    socket.once('timeout', () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
  });
}
