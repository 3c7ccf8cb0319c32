import type { Cipher, Content, Sealed } from './cipher';
import { pack, unpack } from './files';
import type { Phone } from './phone';

/** Messages between two users: signed by one, then encrypted for both, so that the sender can read them later. */
export class DirectCipher implements Cipher {
  constructor(
    private readonly phone: Phone,
    private readonly partnerId: string,
  ) {}

  async seal({ text, photo }: Content): Promise<Sealed> {
    const { e3kit } = this.phone;
    const partner = await this.phone.cardOf(this.partnerId);
    // E3Kit adds the sender's own key. From a string it makes base64, from a Uint8Array bytes; an ArrayBuffer fails.
    const body = (await e3kit.authEncrypt(text, partner)) as string;
    return { body, file: photo && (await e3kit.authEncryptFile(pack({ photo }), partner)) };
  }

  async open({ body, file }: Sealed, senderId: string): Promise<Content> {
    const { phone } = this;
    // The cards are those of the user whom the app shows as the sender: this proves that the message is theirs.
    const text = (await phone.openAs(senderId, (card) => phone.e3kit.authDecrypt(body, card))) as string;
    if (!file) return { text };
    const packed = await phone.openAs(senderId, (card) => phone.e3kit.authDecryptFile(file, card));
    return { ...(await unpack(packed)), text };
  }
}
