import { isOfRequest } from '../json-request';
import type { Policy } from '../policy';
import { isIdentifier } from '../session';
import { virgilCallers } from '../virgil-caller';
import { eraseAtVirgil } from '../virgil-cloud/erase';
import { type Beside, registerBeside } from './beside-app-triggers';
import { hideFromLog } from './hide-from-log';
import { beforeEachWrite } from './parse-server-internals';

/**
 * A row is an order to erase `identity`, to be looked at when it is `due`. It proves nothing: unless it is `marked`, the user
 * must be gone as well. It ends with an erasure that began after `again`, when every token from before has ended: until then
 * a device can register anew. `attempts` are those since the last that went well.
 */
export const ERASURE_CLASS = 'VirgilErasure';

const JOB = 'virgil-erase';
const MINUTE_MS = 60_000;
const MAX_PAUSE_MS = 3_600_000;
const MAX_WAIT_MS = 3000;
const AT_A_TIME = 5;
const master = { useMasterKey: true };

/** @throws Parse.Error 119 without the master key: an order may have somebody erased, and its loss nobody */
function checkErasure(request: { master: boolean }): void {
  if (request.master) return;
  throw new Parse.Error(Parse.Error.OPERATION_FORBIDDEN, `${ERASURE_CLASS} is for the server alone.`);
}

/**
 * Erases users at Virgil when they are deleted. An order is stored before the deletion and carried out after it; what is left
 * then, by a timer, or by the Cloud Job `virgil-erase`, which takes `{ identity }` for a user who was deleted past the triggers.
 * @returns erases a user whom the app only marks as deleted, by `objectId`: resolves when the order is stored and, within
 *   3 s, carried out; rejects where it cannot be stored
 */
export function registerErasure(policy: Policy['virgil']): (identity: string) => Promise<void> {
  const callerOf = virgilCallers(JOB);
  let turn = Promise.resolve(false);
  // As performance.now() has it. After a failure: few requests to a service that is away, few lines in the log.
  let restsUntil = 0;

  /** Stores an order, or renews one that nobody is about to look at. Two at once, by two servers, do no harm. */
  async function order(identity: string, marked: boolean, due: number): Promise<void> {
    if (!isIdentifier(identity)) throw new TypeError('An identity is the objectId of a user.');
    const now = Date.now();
    const orders = new Parse.Query(ERASURE_CLASS).equalTo('identity', identity).equalTo('marked', marked);
    const later = await orders.greaterThan('due', new Date(now + MINUTE_MS / 2)).first(master);
    const row = later ?? new Parse.Object(ERASURE_CLASS);
    row.setACL(new Parse.ACL());
    const again = new Date(now + MINUTE_MS + 1000 * policy.tokenTtlSeconds);
    await row.save({ identity, marked, due: new Date(now + due), again, attempts: 0 }, master);
  }

  /** @returns whether something is left that could not be done */
  async function carryOut(row: Parse.Object): Promise<boolean> {
    const { identity, marked, due, again = due, attempts = 0 } = row.attributes;
    const now = Date.now();
    const putOff = (to: number, tries: number) => row.save({ due: new Date(to), attempts: tries }, master);
    const isOver = now >= again;
    const pause = Math.min(MINUTE_MS * 2 ** attempts, MAX_PAUSE_MS);
    const isForged = !isIdentifier(identity);
    if (isForged || (marked !== true && (await isUser(identity)))) {
      // The deletion may be in a transaction that is not committed yet.
      await (isForged || isOver ? row.destroy(master) : putOff(Math.min(now + pause, Number(again)), attempts + 1));
      return false;
    }
    // First: so nobody else begins it too, and an order that crashes the server does so less and less often.
    await putOff(now + pause, attempts + 1);
    try {
      await eraseAtVirgil(await callerOf(Parse.Server.loggerController, identity), identity);
    } catch (error) {
      // It is tried again, and others need not wait for it.
      if (!isOfRequest(error)) throw error;
      complain(`tried again later. ${error.message}`);
      return true;
    }
    await (isOver ? row.destroy(master) : putOff(again, 0));
    return false;
  }

  /** @returns whether something is left that could not be done */
  async function carryOutDue(): Promise<boolean> {
    let isLeft = false;
    try {
      while (performance.now() >= restsUntil) {
        const due = new Parse.Query(ERASURE_CLASS).lessThanOrEqualTo('due', new Date()).ascending('due');
        const rows = await due.limit(AT_A_TIME).find(master);
        if (rows.length === 0) return isLeft;
        isLeft = (await Promise.all(rows.map(carryOut))).some(Boolean) || isLeft;
      }
    } catch (error) {
      restsUntil = performance.now() + MINUTE_MS / 2;
      const { code, message } = error as Parse.Error;
      // Of missing credentials there is a line already.
      if (code !== Parse.Error.SCRIPT_FAILED) complain(`tried again later. ${message}`);
    }
    return true;
  }

  function inTurn(): Promise<boolean> {
    turn = turn.then(carryOutDue);
    return turn;
  }

  function inAMinute(): void {
    setTimeout(() => inTurn().then(inAMinute), MINUTE_MS * (0.75 + Math.random() / 2)).unref();
  }

  async function erase(identity: string, marked: boolean): Promise<void> {
    await order(identity, marked, 0);
    await Promise.race([inTurn(), new Promise((done) => setTimeout(done, MAX_WAIT_MS).unref())]);
  }

  const ofUser = (act: (identity: string) => Promise<void>) =>
    besideApps(async ({ id }) => {
      if (!isIdentifier(id)) return; // nor had a token
      await act(id).catch(({ message }) => {
        complain(`no order for ${id} can be stored: once deleted, run this job with it. ${message}`);
      });
    });
  const isWrapped = beforeEachWrite(({ className, auth }) => {
    if (className === ERASURE_CLASS) checkErasure({ master: auth.isMaster });
  });
  // Otherwise a trigger rejects strangers, at the cost of having one.
  if (!isWrapped) registerBeside('beforeSave', new Map([[ERASURE_CLASS, besideApps(checkErasure)]]));
  const beforeDelete = ofUser((identity) => order(identity, false, MINUTE_MS));
  registerBeside('beforeDelete', new Map([['_User', beforeDelete]]).set(ERASURE_CLASS, besideApps(checkErasure)));
  registerBeside('afterDelete', new Map([['_User', ofUser((identity) => erase(identity, false))]]));
  Parse.Cloud.job(JOB, async ({ params: { identity } }) => {
    restsUntil = 0;
    if (identity && (await isUser(identity))) throw new Error('This user is there still: delete the user.');
    if (identity) await order(identity, false, 0);
    if (await inTurn()) throw new Error('Not all is done, and is tried again. See the log.');
  });
  inAMinute();
  return (identity) => erase(identity, true);
}

function complain(line: string): void {
  Parse.Server.loggerController.error(`${JOB}: ${line}`);
}

/** Asks the database itself, and its primary: no trigger of the app, and no replica, can make a user seem to be gone. */
async function isUser(objectId: string): Promise<boolean> {
  const options = { keys: ['objectId'], readPreference: 'PRIMARY' };
  return (await Parse.Server.database.find('_User', { objectId }, options)).length > 0;
}

/** The app's trigger first, and ours in any case. */
function besideApps(ours: (request: { id?: string; master: boolean }) => unknown): Beside {
  return (appTrigger) => async (request) => {
    const { object, master } = request;
    const { id } = object;
    hideFromLog(object, object);
    try {
      await appTrigger?.(request);
    } finally {
      await ours({ id, master });
    }
  };
}
