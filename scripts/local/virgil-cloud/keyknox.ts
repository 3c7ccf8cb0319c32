import { createHash } from 'node:crypto';
import { ErrorCode, VirgilError } from './errors';
import {
  type Answer,
  type Call,
  type Route,
  readBase64,
  readOptionalString,
  readString,
  readStrings,
} from './service';
import type { Table } from './storage';

/** What the service cannot read: ciphertext, and the header that says who can; both base64, or empty. */
interface Encrypted {
  meta: string;
  value: string;
}

/** Keyknox v1: one value per identity. */
export interface Value extends Encrypted {
  /** Counts the changes. */
  version: number;
}

/** Keyknox v2: a value that its owner shares with the identities he names. */
export interface Ticket {
  owner: string;
  root: string;
  path: string;
  key: string;
  /**
   * What was pushed, the latest last, and for whom it is the latest. Whoever adds a participant encrypts anew, and
   * for himself and that participant only; the others can read just what they were given before.
   */
  pushes: (Encrypted & { identities: string[] })[];
}

const NOTHING: Encrypted = { meta: '', value: '' };

/** Virgil's Keyknox Service, v1. A value that is missing or was reset is empty. */
export function keyknoxV1Service(values: Table<Value>): Route[] {
  const current = (identity: string): Value => values.get(identity) ?? { ...NOTHING, version: 0 };
  const answer = ({ meta, value, version }: Value): Answer => ({
    body: { meta, value, version: `${version || 1}.0` },
    headers: hashHeader({ meta, value }),
  });
  const change = (identity: string, meta: string, value: string): Answer => {
    const changed = { meta, value, version: current(identity).version + 1 };
    values.write([[identity, changed]]);
    return answer(changed);
  };

  return [
    ['get', '/keyknox/v1', ({ identity }) => answer(current(identity))],
    [
      'put',
      '/keyknox/v1',
      (call) => {
        refuseStale(call, current(call.identity), ErrorCode.stalePreviousHash);
        return change(call.identity, readBase64(call.body, 'meta'), readBase64(call.body, 'value'));
      },
    ],
    [
      'post',
      '/keyknox/v1/reset',
      ({ identity }) => (values.get(identity) ? change(identity, '', '') : answer(current(identity))),
    ],
  ];
}

/**
 * Virgil's Keyknox Service, v2. The caller owns what he pushes and can reach nothing else by `push` and `reset`:
 * neither names an owner. A ticket that is missing, was reset, or is not shared with the caller is empty.
 */
export function keyknoxV2Service(tickets: Table<Ticket>): Route[] {
  const rowKey = ({ owner, root, path, key }: Ticket) => JSON.stringify([owner, root, path, key]);
  /** The ticket that a request speaks of. */
  const find = (owner: string, body: unknown, key: string): Ticket => {
    const missing = {
      owner,
      root: readString(body, 'root'),
      path: readString(body, 'path'),
      key,
      pushes: [],
    };
    return tickets.get(rowKey(missing)) ?? missing;
  };
  /** All tickets at that place, but those that were reset. What is left out of a place may be anything. */
  const list = (place: Pick<Ticket, 'owner' | 'root'> & { path?: string; key?: string }): Ticket[] =>
    [...tickets.values()].filter(
      ({ owner, root, path, key, pushes }) =>
        owner === place.owner &&
        root === place.root &&
        path === (place.path ?? path) &&
        key === (place.key ?? key) &&
        pushes.length > 0,
    );
  const answer = ({ owner, root, path, key, pushes }: Ticket, visible?: Encrypted): Answer => {
    const { meta, value } = visible ?? NOTHING;
    const identities = visible ? pushes.flatMap((push) => push.identities) : [];
    return {
      body: { owner, root, path, key, identities, meta, value },
      headers: hashHeader({ meta, value }),
    };
  };

  return [
    [
      'post',
      '/keyknox/v2/push',
      (call) => {
        const { identity, body } = call;
        const ticket = find(identity, body, readString(body, 'key'));
        refuseStale(call, visibleTo(identity, ticket), ErrorCode.ticketExists);
        const identities = [...new Set(readStrings(body, 'identities'))];
        const push = { meta: readBase64(body, 'meta'), value: readBase64(body, 'value'), identities };
        const earlier = withoutIdentities(ticket, identities).pushes.filter(
          (other) => other.identities.length > 0,
        );
        const pushed = { ...ticket, pushes: [...earlier, push] };
        tickets.write([[rowKey(pushed), pushed]]);
        return answer(pushed, push);
      },
    ],
    [
      'post',
      '/keyknox/v2/pull',
      ({ identity, body }) => {
        const ticket = find(readString(body, 'identity'), body, readString(body, 'key'));
        return answer(ticket, visibleTo(identity, ticket));
      },
    ],
    [
      'post',
      '/keyknox/v2/keys',
      ({ identity, body }) => {
        const place = {
          owner: readString(body, 'identity'),
          root: readString(body, 'root'),
          path: readString(body, 'path'),
        };
        const visible = list(place).filter((ticket) => visibleTo(identity, ticket));
        return { body: visible.map(({ key }) => key) };
      },
    ],
    [
      'post',
      '/keyknox/v2/reset',
      ({ identity, body }) => {
        const key = readOptionalString(body, 'key');
        const path = key === undefined ? readOptionalString(body, 'path') : readString(body, 'path');
        const root = readString(body, 'root');
        const participant = readOptionalString(body, 'identity') ?? identity;
        const changed = list({ owner: identity, root, path, key }).map((ticket) =>
          participant === identity ? { ...ticket, pushes: [] } : withoutIdentities(ticket, [participant]),
        );
        tickets.write(changed.map((ticket) => [rowKey(ticket), ticket]));
        return answer({ owner: identity, root, path: path ?? '', key: key ?? '', pushes: [] });
      },
    ],
  ];
}

function visibleTo(identity: string, { owner, pushes }: Ticket): Encrypted | undefined {
  return identity === owner ? pushes.at(-1) : pushes.find(({ identities }) => identities.includes(identity));
}

function withoutIdentities(ticket: Ticket, leaving: string[]): Ticket {
  const pushes = ticket.pushes.map((push) => ({
    ...push,
    identities: push.identities.filter((identity) => !leaving.includes(identity)),
  }));
  return { ...ticket, pushes };
}

/**
 * Optimistic locking: whoever overwrites a value proves by its hash to have seen it.
 *
 * @param unproven the error's code when no hash came although there is a value
 */
function refuseStale(
  { header }: Call,
  current: Encrypted | undefined,
  unproven: typeof ErrorCode.stalePreviousHash | typeof ErrorCode.ticketExists,
): void {
  const previousHash = header('Virgil-Keyknox-Previous-Hash');
  if (previousHash === undefined && current?.value) {
    throw new VirgilError(
      409,
      unproven,
      'There is a value already. Pull it, and push with its hash as previous hash.',
    );
  }
  if (previousHash !== undefined && previousHash !== hash(current ?? NOTHING)) {
    throw new VirgilError(
      409,
      ErrorCode.stalePreviousHash,
      'The value has changed since. Pull it, and push again.',
    );
  }
}

/** Of what is encrypted alone: E3Kit takes a participant out and then pushes with the hash from before. */
function hash({ meta, value }: Encrypted): string {
  return createHash('sha512').update(`${meta}.${value}`).digest('base64');
}

function hashHeader(encrypted: Encrypted): Record<string, string> {
  return { 'Virgil-Keyknox-Hash': hash(encrypted) };
}
