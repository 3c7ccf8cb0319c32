import { separate } from '../../../scripts/deploy/arguments';

test.each([
  ['-d release other -f', [], 'other'],
  ['--description=release --force -n 2', [], undefined],
  ['-fvd release -vn3 -v=false other', [], 'other'],
  ['-drelease -d=release --verbose=true', [], undefined],
  ['-d --yes other', [], 'other'],
  ['-d --dry-run --description --replace-release', [], undefined],
  ['--description -- -fd -- other', [], 'other'],
])('b4a gets %s as it is', (line, own, app) => {
  const words = line.split(' ');
  const passedOn = { words, ...(app !== undefined && { app }) };
  expect(separate(words)).toEqual({ own, passedOn });
  expect(separate(['--', ...words])).toEqual({ own, passedOn });
});

test.each([
  ['--yes -- --dry-run', ['--yes', '--dry-run'], []],
  ['-d text --yes other -- --replace-release', ['--yes', '--replace-release'], ['-d', 'text', 'other']],
  ['-- other -- --yes', ['--yes'], ['other']],
  // Neither has these, and so they are ours to refuse.
  ['--verbos -x -fx --force=2 --yes=no -', ['--verbos', '-x', '-fx', '--force=2', '--yes=no', '-'], []],
])('of %s the options that are not for b4a are left, wherever they stand', (line, own, words) => {
  expect(separate(line.split(' '))).toMatchObject({ own, passedOn: { words } });
});

test.each([
  ['-n 0', '-n 0: b4a tries to deploy this many times, so give a number from 1 up.'],
  ['-n=-1', '-n -1: '],
  ['-fn0', '-n 0: '],
  ['--retries=three', '-n three: '],
  ['--retries 0', '-n 0: '],
  ['other -d', '-d needs a value.'],
  ['--yes -fn', '-fn needs a value.'],
  ['My App', 'two are named: My and App.'],
])('%s is an error, with which b4a would fail, or do nothing and call it success', (line, message) => {
  expect(() => separate(line.split(' '))).toThrow(message);
});
