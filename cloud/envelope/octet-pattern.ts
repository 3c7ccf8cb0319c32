/** So many octets, each of which may be any. */
export const anyOctets = (length: number): string => '..'.repeat(length);

const ANY_WORD = anyOctets(4);

/** Which octets must stand where. Four are compared at a time: an envelope may have many recipients. */
export class OctetPattern {
  readonly length: number;
  private readonly positions: number[] = [];
  private readonly words: number[] = [];
  private readonly masks: number[] = [];

  /** @param hex the octets, at least four: hexadecimal digits, or `anyOctets` */
  constructor(hex: string) {
    this.length = hex.length / 2;
    for (let i = 0; i < this.length; i += 4) {
      const position = Math.min(i, this.length - 4);
      const word = hex.slice(2 * position, 2 * position + 8);
      if (word === ANY_WORD) continue;
      this.positions.push(position);
      this.words.push(Number.parseInt(word.replace(/\./g, '0'), 16) | 0);
      this.masks.push(Number.parseInt(word.replace(/[^.]/g, 'f').replace(/\./g, '0'), 16) | 0);
    }
  }

  /** Whether the octets from `start` on are as they must be. There must be `length` of them. */
  fits(bytes: Uint8Array, start: number): boolean {
    const { positions, words, masks } = this;
    for (let i = 0; i < words.length; i++) {
      const at = start + (positions[i] as number);
      const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      const low = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
      if ((((high << 16) | low) & (masks[i] as number)) !== words[i]) return false;
    }
    return true;
  }
}
