import type { Cipher } from './cipher';
import type { Phone } from './phone';

/** Messages between two users: signed by one, then encrypted for both, so that the sender can read them later. */
export class DirectCipher implements Cipher {
  constructor(
    private readonly phone: Phone,
    private readonly partnerId: string,
  ) {}

  async encrypt(text: string) {
    // E3Kit adds the sender's own key. From a string it makes base64, from a Uint8Array bytes; an ArrayBuffer fails.
    return (await this.phone.e3kit.authEncrypt(text, await this.phone.cardOf(this.partnerId))) as string;
  }

  async decrypt(body: string, senderId: string) {
    // Give the card of the user whom the app shows as the sender: this is what proves that the message is theirs.
    return (await this.phone.e3kit.authDecrypt(body, await this.phone.cardOf(senderId))) as string;
  }

  async encryptFile(file: Blob) {
    return this.phone.e3kit.authEncryptFile(file, await this.phone.cardOf(this.partnerId));
  }

  async decryptFile(file: Blob, senderId: string) {
    return this.phone.e3kit.authDecryptFile(file, await this.phone.cardOf(senderId));
  }
}
