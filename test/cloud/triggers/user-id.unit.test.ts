import { checkUserId } from '../../../cloud/triggers/user-id';
import { becomeCloudCode, objectsOfSave } from '../../support/cloud-code';

becomeCloudCode(({ path }) => {
  throw new Error(`This asks nothing, ${path} neither.`);
});

function check(id: string | undefined, stored?: { objectId: string }): string {
  const objects = objectsOfSave('_User', {}, stored);
  objects.object.id = id as string;
  try {
    checkUserId({ ...objects, master: true });
    return 'none';
  } catch (error) {
    return `${(error as Parse.Error).code} ${(error as Error).message}`;
  }
}

const NO_ID = "119 A user's objectId is 1 to 64 letters, digits, _, ., @ or -.";

test.each([
  [undefined, 'none'],
  ['Xk2p9QaL0b', 'none'],
  ['user@example.com', 'none'],
  ['', NO_ID],
  ['*', NO_ID],
  ['role:Admins', NO_ID],
])('a new user with the ID %j: %s', (id, expected) => {
  expect(check(id)).toBe(expected);
});

test('an ID never changes, an old one that could not be an identity neither', () => {
  expect(check('Xk2p9QaL0b', { objectId: 'Xk2p9QaL0b' })).toBe('none');
  expect(check('*', { objectId: '*' })).toBe('none');
  for (const id of ['another000', '', undefined]) {
    expect(check(id, { objectId: 'Xk2p9QaL0b' })).toBe("119 A user's objectId cannot change.");
  }
});
