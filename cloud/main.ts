import { virgilJwt } from './functions/virgil-jwt';
import type { Policy } from './policy';
import { registerGuards } from './triggers/register-guards';

/** back4app.json, validated and compiled in by the build. */
declare const POLICY: Policy;

Parse.Cloud.define('virgil-jwt', virgilJwt(POLICY.virgil));

/** For an app with a `main.js` of its own: the guard of the policy's classes, which runs beside its triggers anyway. */
export const guard = registerGuards(POLICY.classes);
