// The bytes of ASCII text, of its UTF-16 and of its UTF-32: printable, or zero.
const ASCII = new Uint8Array(256);
ASCII.fill(1, 0x20, 0x7f);
for (const character of '\0\t\n\r') ASCII[character.charCodeAt(0)] = 1;
const asciiAt = (bytes: Uint8Array, i: number) => ASCII[bytes[i] as number] as number;

// Of random runs this long, one in 10^13 is of such bytes: no ciphertext is refused by chance. In 20 MB one would be found once
// in 10^6 files, one of 48 bytes once in 5 * 10^12.
const asciiRunIn = (length: number) => (length > 2 ** 16 ? 48 : Math.min(32, length));

// The characters of UTF-8 by their first byte (Unicode 16 table 3-7): how many bytes follow, and what the next may be.
// C0 (but for \t, \n and \r), DEL and C1 (C2 80 to C2 9F) cannot be printed, and are left out.
const UTF8_CHARACTERS = [
  [0x09, 0x0a, 0, 0, 0],
  [0x0d, 0x0d, 0, 0, 0],
  [0x20, 0x7e, 0, 0, 0],
  [0xc2, 0xc2, 1, 0xa0, 0xbf],
  [0xc3, 0xdf, 1, 0x80, 0xbf],
  [0xe0, 0xe0, 2, 0xa0, 0xbf],
  [0xe1, 0xec, 2, 0x80, 0xbf],
  [0xed, 0xed, 2, 0x80, 0x9f],
  [0xee, 0xef, 2, 0x80, 0xbf],
  [0xf0, 0xf0, 3, 0x90, 0xbf],
  [0xf1, 0xf3, 3, 0x80, 0xbf],
  [0xf4, 0xf4, 3, 0x80, 0x8f],
] as const;
const FOLLOWING = new Uint8Array(256);
const NEXT_LEAST = new Uint8Array(256);
const NEXT_MOST = new Uint8Array(256);

// What a byte is, and what may stand behind it: one bit for each kind, none for a byte that no text holds.
const FIRST = 1;
const CONTINUATION = 2;
const KIND = new Uint8Array(256).fill(CONTINUATION, 0x80, 0xc0);
const BEHIND = new Uint8Array(256).fill(FIRST | CONTINUATION, 0x80, 0xc0);
const agree = (bytes: Uint8Array, i: number) =>
  (BEHIND[bytes[i] as number] as number) & (KIND[bytes[i + 1] as number] as number);

for (const [least, most, following, nextLeast, nextMost] of UTF8_CHARACTERS) {
  FOLLOWING.fill(following, least, most + 1);
  NEXT_LEAST.fill(nextLeast, least, most + 1);
  NEXT_MOST.fill(nextMost, least, most + 1);
  KIND.fill(FIRST, least, most + 1);
  BEHIND.fill(following === 0 ? FIRST : CONTINUATION, least, most + 1);
}

// Of random windows this long, 2.5 in 10^16 are UTF-8 (the exact sum over the table above, cut characters included), so that
// one of 3 * 10^9 files of 20 MB has one.
const UTF8_WINDOW_BYTES = 48;
const UTF8_STEP_BYTES = 16;
// Of random windows this short, 5 in 10^11 are, and still shorter ones are too often.
const UTF8_LEAST_BYTES = 32;

/**
 * Whether there is text from start to end, which there is not in ciphertext: 32 consecutive bytes of printable ASCII, its
 * UTF-16 or UTF-32 (all, where there are fewer; 48, where there are more than 64 KB), or 63 of printable UTF-8 in whatever
 * script (all, where there are 32 to 62).
 */
export function hasReadableText(bytes: Uint8Array, start: number, end: number): boolean {
  return hasAscii(bytes, start, end) || hasUtf8(bytes, start, end);
}

// Both look at the end of a window first, as Boyer-Moore search does: what breaks the text there rules out every window
// that contains it, so of random bytes only about one in ten is looked at.

function hasAscii(bytes: Uint8Array, start: number, end: number): boolean {
  const run = asciiRunIn(end - start);
  for (let last = start + run - 1; last < end; ) {
    // Rules out 16 of 17 random ends without a branch that a processor could mispredict.
    if (run > 2 && (asciiAt(bytes, last - 2) & asciiAt(bytes, last - 1) & asciiAt(bytes, last)) === 0) {
      last += run - 2;
      continue;
    }
    let i = last;
    while (ASCII[bytes[i] as number] === 1) i--;
    if (last - i >= run) return true;
    last = i + run;
  }
  return false;
}

/** Looks at the windows that begin at every 16th byte: any 63 bytes hold one of them. */
function hasUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  const window = Math.min(UTF8_WINDOW_BYTES, end - start);
  if (window < UTF8_LEAST_BYTES) return false;
  for (let windowEnd = start + window; windowEnd <= end; ) {
    // Whichever of the last eight bytes rules it out, it rules out all that begin before its end.
    if (!mayEndUtf8(bytes, windowEnd) || !mayEndUtf8(bytes, windowEnd - 4)) windowEnd += UTF8_WINDOW_BYTES;
    else if (isUtf8(bytes, windowEnd - window, windowEnd)) return true;
    else windowEnd += UTF8_STEP_BYTES;
  }
  return false;
}

/** Rules out seven of eight random ends by their last four bytes, without such a branch. */
function mayEndUtf8(bytes: Uint8Array, end: number): boolean {
  return agree(bytes, end - 4) * agree(bytes, end - 3) * agree(bytes, end - 2) !== 0;
}

/** Whether these bytes are printable UTF-8, of whose first and last character a part may be cut off. */
function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start;
  while (i < start + 3 && KIND[bytes[i] as number] === CONTINUATION) i++;
  while (i < end) {
    const first = bytes[i++] as number;
    if (KIND[first] !== FIRST) return false;
    let least = NEXT_LEAST[first] as number;
    let most = NEXT_MOST[first] as number;
    for (const next = Math.min(i + (FOLLOWING[first] as number), end); i < next; i++) {
      const octet = bytes[i] as number;
      if (octet < least || octet > most) return false;
      least = 0x80;
      most = 0xbf;
    }
  }
  return true;
}
