import { defineFunctions } from './functions/define';
import { nexmoCreateUser } from './functions/nexmo-create-user';
import { nexmoJwt } from './functions/nexmo-jwt';
import { virgilJwt as issuesVirgilJwts } from './functions/virgil-jwt';
import type { Feature, NexmoPolicy, Policy } from './policy';
import { registerErasure } from './triggers/erasure';
import { registerFileGuard } from './triggers/file-guard';
import { recipientsCheck } from './triggers/recipients';
import { registerGuards } from './triggers/register-guards';

/** back4app.json, validated and compiled in by the build. */
declare const POLICY: Policy;
/** What the policy uses: the build leaves the rest out of the bundle. */
declare const USES: Record<Feature, boolean>;

/** For an app with a check of its own: the handler of `virgil-jwt`, to be returned from a function of another name. */
export const virgilJwt = issuesVirgilJwts(POLICY.virgil);

defineFunctions({ 'virgil-jwt': virgilJwt });
if (USES.nexmo) {
  const policy = POLICY.nexmo as NexmoPolicy;
  defineFunctions({ 'nexmo-jwt': nexmoJwt(policy), 'nexmo-create-user': nexmoCreateUser(policy) });
}

if (USES.files && POLICY.files) registerFileGuard(POLICY.files);

/** For an app with a `main.js` of its own: the guard of the policy's classes, which runs beside its triggers anyway. */
export const guard = registerGuards(POLICY, USES.recipients ? recipientsCheck() : undefined);

/** For an app that only marks users as deleted: takes the cards and key backups of one off Virgil Cloud. */
export const eraseIdentity = USES.erasure ? registerErasure(POLICY.virgil) : erasesNobody;

async function erasesNobody(): Promise<void> {
  throw new Error('Nobody is erased: virgil.eraseDeletedUsers is not true in back4app.json.');
}
