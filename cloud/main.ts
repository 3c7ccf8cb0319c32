import { defineFunctions } from './functions/define';
import { nexmoCreateUser } from './functions/nexmo-create-user';
import { nexmoJwt } from './functions/nexmo-jwt';
import { virgilJwt as issuesVirgilJwts } from './functions/virgil-jwt';
import type { Policy } from './policy';
import { registerErasure } from './triggers/erasure';
import { registerFileGuard } from './triggers/file-guard';
import { registerGuards } from './triggers/register-guards';

/** back4app.json, validated and compiled in by the build. */
declare const POLICY: Policy;

/** For an app with a check of its own: the handler of `virgil-jwt`, to be returned from a function of another name. */
export const virgilJwt = issuesVirgilJwts(POLICY.virgil);

defineFunctions({
  'virgil-jwt': virgilJwt,
  'nexmo-jwt': nexmoJwt(POLICY.nexmo),
  'nexmo-create-user': nexmoCreateUser(POLICY.nexmo),
});

if (POLICY.files) registerFileGuard(POLICY.files);

/** For an app with a `main.js` of its own: the guard of the policy's classes, which runs beside its triggers anyway. */
export const guard = registerGuards(POLICY);

/** For an app that only marks users as deleted: takes the cards and key backups of one off Virgil Cloud. */
export const eraseIdentity = registerErasure(POLICY.virgil);
