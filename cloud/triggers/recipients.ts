import { createHash } from 'node:crypto';
import { type Envelope, envelopeIn } from '../envelope/recognise-envelope';
import type { ClassPolicy } from '../policy';
import { identityIn, isIdentifier } from '../session';
import { virgilCallers } from '../virgil-caller';
import { cardDirectory } from '../virgil-cloud/card-directory';
import { searchCards } from '../virgil-cloud/cards';
import { type Fault, faultOfField, type RecipientsCheck, type Save } from './guard';

const MAX_READERS = 100;
/** Of more readers an error names none: a save that is rejected anyway must not keep Virgil Cloud busy. */
const MAX_NAMED = 10;
// The server's own. It has a hyphen, as no `objectId` of Parse Server's making has.
const SERVER_IDENTITY = 'e2ee-server';

type JudgeByCards = ReturnType<typeof cardDirectory>;

/**
 * Why ciphertext that a save writes is not for those who will be able to read the row and for nobody else but its sender
 * (the policy's `recipients`), or not of the row's group (`group`); or why a stored one is not for whom the save adds. It
 * catches mistakes and proves nothing: a key ID is a label, which a client can put on any key.
 * @returns finds, for a save and the identity who writes the row: 119 readers who are no users; 116 too many of them; 142 recipients or a group that are not as they must be; 100
 *   where Virgil Cloud does not tell, and the policy refuses then
 */
export function recipientsCheck(): RecipientsCheck {
  const callerOf = virgilCallers('The check of recipients');
  // A search is for many saves, and has the log of none.
  const judgeByCards = cardDirectory(async (identities) =>
    searchCards(await callerOf(console, SERVER_IDENTITY), identities),
  );
  return (save, sender) => recipientsFault(save, sender, judgeByCards);
}

async function recipientsFault(
  save: Save,
  sender: string | undefined,
  judgeByCards: JudgeByCards,
): Promise<Fault | undefined> {
  const { object, original, policy, values, changed, envelopes } = save;
  const readers = readersOf(object, policy);
  const before = original && new Set(readersOf(original, policy));
  const added = !before || before.has('*') ? [] : readers.filter((reader) => !before.has(reader));
  for (const field of policy.encrypted) {
    const isNew = !original || changed.includes(field);
    if (!isNew && added.length === 0 && !changed.includes(`${policy.group}`)) continue;
    const envelope = envelopes.get(field) ?? envelopeIn(values[field], policy);
    // What is stored may be plain text, from before the guard.
    if (typeof envelope === 'string') continue;
    const fault = await fieldFault(save, field, envelope, isNew ? readers : added, isNew, sender, judgeByCards);
    if (fault) return fault;
  }
}

/** Who may read a row, or whom the policy's `recipients` name; `*` is everyone, `?` a value that names no user. */
function readersOf(row: Parse.Object, { recipients, types }: ClassPolicy): string[] {
  if (recipients !== 'acl') {
    const fields = (recipients ?? []).filter((field) => row.has(field));
    const named = fields.flatMap((field) =>
      [row.get(field)].flat().map((value) => identityIn(value, types[field]) ?? '?'),
    );
    return [...new Set(named)];
  }
  const acl = row.getACL()?.toJSON();
  return acl ? Object.keys(acl).filter((id) => acl[id]?.read) : ['*'];
}

/**
 * @param wanted who must be a recipient
 * @param isNew whether by the current key, and with nobody else but the sender; by any key otherwise
 */
async function fieldFault(
  save: Save,
  field: string,
  envelope: Envelope,
  wanted: string[],
  isNew: boolean,
  sender: string | undefined,
  judgeByCards: JudgeByCards,
): Promise<Fault | undefined> {
  const { object, policy, user, values, log } = save;
  const { recipients, group, mode } = policy;
  const fault = (what: string, code?: number) => faultOfField(save, field, what, code);
  const isOfGroup = group !== undefined && envelope.kind === 'group message';
  if (!wanted.every((reader) => isIdentifier(reader) || (isOfGroup && reader !== '*'))) {
    const where = recipients === 'acl' ? 'ACL' : recipients;
    const what = `needs users in its ${where}: nobody else, a role neither, could decrypt it.`;
    return fault(what, Parse.Error.OPERATION_FORBIDDEN);
  }
  if (isOfGroup) {
    // docs/formats.md, "Group message".
    const groupId = values[group] instanceof Parse.Object ? values[group].id : values[group];
    const sessionId = createHash('sha512').update(`${groupId}`).digest().subarray(0, 32);
    if (sessionId.equals(envelope.sessionId)) return;
    return fault(`is of another group than ${group} names.`);
  }
  if (!recipients || (!isNew && wanted.length === 0)) return;
  if (envelope.kind !== 'message') {
    return fault(`is a ${envelope.kind}, which names no recipients: encrypt it with authEncrypt().`);
  }
  if (wanted.length > MAX_READERS) {
    return fault(`may have at most ${MAX_READERS} readers.`, Parse.Error.OBJECT_TOO_LARGE);
  }

  const keyIds = new Set(envelope.recipients.map((id) => (id as Buffer).toString('hex')));
  const others = wanted.filter((identity) => identity !== sender);
  const everyone = isNew && isIdentifier(sender) ? [...others, sender] : wanted;
  // A report names nobody.
  const named = (identity: string) => (mode === 'report' ? 'a user' : identity);
  const lacks = (who: string) =>
    fault(`is not encrypted for ${who}, who may read the row: encrypt it for every reader.`);
  const stranger = () => fault('is encrypted for somebody who may not read the row: encrypt it for its readers alone.');
  const caller = user?.id ?? sender ?? '';
  if (keyIds.size < wanted.length) {
    // E3Kit encrypts for the sender by itself.
    if (others.length === 1) return lacks(named(`${others}`));
    const mayName = mode !== 'report' && wanted.length <= MAX_NAMED;
    const missing = mayName ? await missingReaders(judgeByCards, caller, wanted, keyIds) : [];
    return lacks(missing.join(', ') || `each of ${wanted.length} users`);
  }
  if (isNew && keyIds.size > everyone.length) return stranger();
  try {
    return await judgeByCards(caller, everyone, (keyIdsOf) => {
      const strangers = new Set(keyIds);
      let isWhole = true;
      for (const identity of everyone) {
        const known = keyIdsOf(identity);
        if (!known) {
          isWhole = false;
          continue;
        }
        const who = named(identity);
        const all = [...known];
        const used = all.filter(([keyId]) => keyIds.has(keyId));
        for (const [keyId] of used) strangers.delete(keyId);
        if (isNew && used.some(([, isCurrent]) => !isCurrent)) {
          const mend =
            identity === sender ? 'restore the private key on this device' : 'find that user anew (forceReload)';
          return {
            fault: fault(`is encrypted for a former key of ${who}: ${mend}, and encrypt it again.`),
            of: identity,
          };
        }
        if (used.length > 0 || !wanted.includes(identity)) continue;
        if (all.some(([, isCurrent]) => isCurrent)) return { fault: lacks(who), of: identity };
        const noCard = `is not for all: ${who}, who may read the row, has no card. That user must register.`;
        return { fault: fault(noCard), of: identity };
      }
      return isWhole && isNew && strangers.size > 0 ? { fault: stranger() } : undefined;
    });
  } catch (error) {
    log?.warn(`e2ee recipients: ${object.className}: not checked: ${(error as Error).message}`);
    if (policy.recipientsOutage !== 'refuse') return;
    const what = 'could not be checked: Virgil Cloud does not answer. Save it again later.';
    return fault(what, Parse.Error.CONNECTION_FAILED);
  }
}

/**
 * @param keyIds the recipients of an envelope
 * @returns the readers of whose keys it names none; nobody, where Virgil Cloud does not tell
 */
async function missingReaders(
  judgeByCards: JudgeByCards,
  caller: string,
  readers: string[],
  keyIds: Set<string>,
): Promise<string[]> {
  const missing = judgeByCards(caller, readers, (keyIdsOf) => {
    if (!readers.every(keyIdsOf)) return;
    const isMissing = (reader: string) => ![...(keyIdsOf(reader) ?? [])].some(([keyId]) => keyIds.has(keyId));
    return { fault: readers.filter(isMissing) };
  });
  // The save is rejected all the same.
  return (await missing.catch(() => undefined)) ?? [];
}
