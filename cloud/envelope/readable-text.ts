const PRINTABLE = new Uint8Array(256);
PRINTABLE.fill(1, 0x20, 0x7f);
for (const whitespace of '\t\n\r') PRINTABLE[whitespace.charCodeAt(0)] = 1;

/** Of random runs this long, one in 10^14 is readable: no ciphertext is refused by chance. */
const RUN_BYTES = 32;

/**
 * Whether any 32 consecutive bytes from start to end (all of them, where there are fewer) are printable ASCII, or its
 * UTF-16 in either byte order. Ciphertext is not; text glued behind an envelope's header is.
 */
export function hasReadableText(bytes: Uint8Array, start: number, end: number): boolean {
  const run = Math.min(RUN_BYTES, end - start);
  return hasAsciiRun(bytes, start, end, run) || hasUtf16Run(bytes, start, end, run);
}

// Both look at a window's last byte first, as Boyer-Moore search does: a byte that breaks the run rules out every
// window that contains it, so of random bytes only about one in twenty is looked at.

function hasAsciiRun(bytes: Uint8Array, start: number, end: number, run: number): boolean {
  for (let last = start + run - 1; last < end; ) {
    let i = last;
    while (i > last - run && PRINTABLE[bytes[i] as number] === 1) i--;
    if (i === last - run) return true;
    last = i + run;
  }
  return false;
}

function hasUtf16Run(bytes: Uint8Array, start: number, end: number, run: number): boolean {
  for (let last = start + run - 1; last < end; ) {
    let i = last - 1;
    while (i > last - run && isUtf16Pair(bytes[i] as number, bytes[i + 1] as number)) i--;
    if (i === last - run) return true;
    last = i + run;
  }
  return false;
}

/** Whether one is the zero byte and the other the character of a printable UTF-16 code unit. */
function isUtf16Pair(a: number, b: number): boolean {
  return (a === 0 && PRINTABLE[b] === 1) || (b === 0 && PRINTABLE[a] === 1);
}
