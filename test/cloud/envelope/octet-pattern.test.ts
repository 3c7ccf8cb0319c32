import fc from 'fast-check';
import { anyOctets, OctetPattern } from '../../../cloud/envelope/octet-pattern';

fc.configureGlobal({ seed: 20_261_128 });

const fits = (pattern: string, hex: string, start = 0) =>
  new OctetPattern(pattern).fits(Buffer.from(hex, 'hex'), start);

test('its length is that of its octets', () => {
  expect(new OctetPattern(`0102${anyOctets(5)}ff`).length).toBe(8);
});

test('octets that are given must be there, and the others may be any', () => {
  expect(fits('0102..04', '01020304')).toBe(true);
  expect(fits('0102..04', '0102ff04')).toBe(true);
  expect(fits('0102..04', '01020305')).toBe(false);
  expect(fits(anyOctets(9), '000000000000000000')).toBe(true);
});

test('it is looked for from the start that is named', () => {
  expect(fits('0102..04', 'ff01020304ff', 1)).toBe(true);
  expect(fits('0102..04', 'ff01020304ff', 0)).toBe(false);
});

test('whatever it is, each octet that is given counts, with each of its bits', () => {
  const octet = fc.record({ value: fc.nat(0xff), given: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(octet, { minLength: 4, maxLength: 20 }),
      fc.nat(),
      fc.integer({ min: 1, max: 0xff }),
      (octets, place, change) => {
        const hex = ({ value }: { value: number }) => value.toString(16).padStart(2, '0');
        const pattern = new OctetPattern(octets.map((o) => (o.given ? hex(o) : anyOctets(1))).join(''));
        const bytes = Buffer.from(octets.map(hex).join(''), 'hex');
        expect(pattern.fits(bytes, 0)).toBe(true);
        const at = place % octets.length;
        bytes[at] = (bytes[at] as number) ^ change;
        expect(pattern.fits(bytes, 0)).toBe(!octets[at]?.given);
      },
    ),
  );
});
