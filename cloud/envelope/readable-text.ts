// How many bytes follow the first one of a character, UTF-8 (Unicode 16 table 3-7), and what the next of them may be. What
// cannot be printed is left out: C0 but for \t, \n and \r, DEL, and C1 (C2 80 to C2 9F).
const NO_CHARACTER = 0xff;
const FOLLOWING = new Uint8Array(256).fill(NO_CHARACTER).fill(0, 0x20, 0x7f);
FOLLOWING[0x09] = FOLLOWING[0x0a] = FOLLOWING[0x0d] = 0;
FOLLOWING.fill(1, 0xc2, 0xe0).fill(2, 0xe0, 0xf0).fill(3, 0xf0, 0xf5);
const NEXT_LEAST = new Uint8Array(256).fill(0x80).fill(0xa0, 0xc2, 0xc3).fill(0xa0, 0xe0, 0xe1).fill(0x90, 0xf0, 0xf1);
const NEXT_MOST = new Uint8Array(256).fill(0xbf).fill(0x9f, 0xed, 0xee).fill(0x8f, 0xf4, 0xf5);

// The bytes of ASCII text, of its UTF-16 and of its UTF-32: printable, or zero.
const ASCII = FOLLOWING.map((following, octet) => (following === 0 || octet === 0 ? 1 : 0));

// What a byte is, one bit for each kind, and three bits higher what may not stand behind it.
const FIRST = 1;
const CONTINUATION = 2;
const NO_TEXT = 4;
const BEHIND = 3;
const KINDS = FOLLOWING.map((following, octet) => {
  if (ASCII[octet] === 1) return FIRST | ((CONTINUATION | NO_TEXT) << BEHIND);
  return following === NO_CHARACTER ? 0xff : FIRST | ((FIRST | NO_TEXT) << BEHIND);
}).fill(CONTINUATION | (NO_TEXT << BEHIND), 0x80, 0xc0);

// Of random runs of 32, one in 10^13 is of such bytes: no ciphertext is refused by chance. In 20 MB one would be found once in
// 10^6 files. Where there is more, a longer run is as sure a sign of text, and found sooner.
const runIn = (length: number) => (length > 2 ** 19 ? 96 : length > 2 ** 16 ? 48 : Math.min(32, length));

// Of random windows this long, 2.5 in 10^16 are UTF-8 (the exact sum over the table above, cut characters included).
const UTF8_WINDOW_BYTES = 48;
const UTF8_STEP_BYTES = 16;
// Of random windows this short, 5 in 10^11 are, and still shorter ones are too often.
const UTF8_LEAST_BYTES = 32;

const PROBE_BYTES = 4;

/**
 * Whether there is text from start to end, which there is not in ciphertext: 32 consecutive bytes of printable ASCII, its
 * UTF-16 or UTF-32 (all, where there are fewer; 48, where there are more than 64 KB), or 63 of printable UTF-8 in whatever
 * script (all, where there are 32 to 62). Where there are more than 512 KB: 96, or 111 of UTF-8.
 */
export function hasReadableText(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  const run = runIn(length);
  if (length < UTF8_WINDOW_BYTES) {
    return hasAscii(bytes, start, end, run) || (length >= UTF8_LEAST_BYTES && endOfUtf8(bytes, start, end) === end);
  }
  // Looks at the end of what may be text first, as Boyer-Moore search does: what breaks it there rules out all that holds that
  // place, so of random bytes only one in ten or fewer is looked at.
  const window = Math.max(UTF8_WINDOW_BYTES, run);
  const step = run - PROBE_BYTES;
  for (let at = start + step; at + PROBE_BYTES <= end; at += step) {
    if (isNoText(bytes, at)) continue;
    let back = at - PROBE_BYTES;
    while (back > at - step && !isNoText(bytes, back)) back -= PROBE_BYTES;
    if (back > at - step) {
      at = back;
      continue;
    }
    // What is not wholly in here holds another of these places.
    const from = Math.max(start, at + PROBE_BYTES - window);
    const to = Math.min(end, at + window);
    const toNextStep = (start - from) & (UTF8_STEP_BYTES - 1);
    if (hasAscii(bytes, from, to, run) || hasUtf8(bytes, from + toNextStep, to, window)) return true;
  }
  return false;
}

/** Whether four bytes can stand in no text, as seven of eight cannot. One branch for all, as more would be mispredicted. */
function isNoText(bytes: Uint8Array, at: number): boolean {
  const first = KINDS[bytes[at] as number] as number;
  const second = KINDS[bytes[at + 1] as number] as number;
  const third = KINDS[bytes[at + 2] as number] as number;
  const fourth = KINDS[bytes[at + 3] as number] as number;
  return (((first >> BEHIND) & second) | ((second >> BEHIND) & third) | ((third >> BEHIND) & fourth)) !== 0;
}

function hasAscii(bytes: Uint8Array, start: number, end: number, run: number): boolean {
  let length = 0;
  for (let i = start; i < end; i++) {
    length = ASCII[bytes[i] as number] === 1 ? length + 1 : 0;
    if (length === run) return true;
  }
  return false;
}

/** Looks at the windows that begin at every 16th byte: whatever text is 15 bytes longer than a window holds one. */
function hasUtf8(bytes: Uint8Array, start: number, end: number, window: number): boolean {
  for (let i = start; i + window <= end; ) {
    const textEnd = endOfUtf8(bytes, i, i + window);
    if (textEnd === i + window) return true;
    // It ends all windows that begin earlier than the last before it, in which it may be a cut character.
    i += Math.max(UTF8_STEP_BYTES, (textEnd - i) & -UTF8_STEP_BYTES);
  }
  return false;
}

/** Where printable UTF-8 ends, of whose first and last character a part may be cut off. */
function endOfUtf8(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < start + 3 && ((bytes[i] as number) & 0xc0) === 0x80) i++;
  while (i < end) {
    const first = bytes[i] as number;
    const following = FOLLOWING[first] as number;
    if (following === NO_CHARACTER) return i;
    const next = Math.min(i + 1 + following, end);
    let least = NEXT_LEAST[first] as number;
    let most = NEXT_MOST[first] as number;
    for (let k = i + 1; k < next; k++) {
      const octet = bytes[k] as number;
      if (octet < least || octet > most) return i;
      least = 0x80;
      most = 0xbf;
    }
    i = next;
  }
  return i;
}
