import type { EThree } from '@virgilsecurity/e3kit-browser';
import { type Cipher, isNoAccess } from './cipher';
import type { Phone } from './phone';

type Group = Awaited<ReturnType<EThree['createGroup']>>;
type Data = string | Buffer;

/** Messages of a group. Its keys travel through Virgil's cloud as tickets, encrypted for each member; Parse has none. */
export class GroupCipher implements Cipher {
  #group?: Group;

  /** @param groupId at least 10 characters */
  constructor(
    private readonly phone: Phone,
    private readonly groupId: string,
    private readonly initiatorId: string,
  ) {}

  /** Makes the group, of which the caller becomes the initiator, unless there is one. */
  async create(memberIds: string[]): Promise<void> {
    try {
      await this.#update();
    } catch (error) {
      if (!isNoAccess(error)) throw error;
      this.#group = await this.phone.e3kit.createGroup(this.groupId, await this.phone.cardsOf(memberIds));
    }
  }

  /** The members' user IDs, as of the last contact with Virgil's cloud. */
  get members(): string[] {
    return this.#group ? [...new Set([this.#group.initiator, ...this.#group.participants])] : [];
  }

  /** Initiator only. A new member can read what was written before. */
  async add(userId: string): Promise<void> {
    await (await this.#update()).add(await this.phone.cardOf(userId));
  }

  /** Initiator only. What is written from now on has a new key, which the removed member does not get. */
  async remove(userId: string): Promise<void> {
    await (await this.#update()).remove(await this.phone.cardOf(userId));
  }

  async encrypt(text: string) {
    return (await this.#encrypt(text)) as string;
  }

  async decrypt(body: string, senderId: string) {
    return (await this.#decrypt(body, senderId)) as string;
  }

  async encryptFile(file: Blob) {
    return new Blob([(await this.#encrypt(await bytesOf(file))) as Buffer<ArrayBuffer>]);
  }

  async decryptFile(file: Blob, senderId: string) {
    return new Blob([(await this.#decrypt(await bytesOf(file), senderId)) as Buffer<ArrayBuffer>]);
  }

  /** From a string E3Kit makes base64, from bytes bytes. */
  async #encrypt(data: Data): Promise<Data> {
    // Without this a phone that has missed a change goes on with the old key, which a removed member has too.
    return (await this.#update()).encrypt(data);
  }

  async #decrypt(data: Data, senderId: string): Promise<Data> {
    const sender = await this.phone.cardOf(senderId);
    const group = this.#group ?? (await this.#update());
    try {
      return await group.decrypt(data, sender);
    } catch (error) {
      // GroupIsOutdated (10): members have changed since.
      if ((error as { errorCode?: number }).errorCode !== 10) throw error;
      return (await this.#update()).decrypt(data, sender);
    }
  }

  /** Fetches the group's tickets. @throws GroupError (see `isNoAccess`) for whom is no member */
  async #update(): Promise<Group> {
    try {
      this.#group = await this.phone.e3kit.loadGroup(this.groupId, await this.phone.cardOf(this.initiatorId));
      return this.#group;
    } catch (error) {
      this.#group = undefined;
      throw error;
    }
  }
}

async function bytesOf(file: Blob): Promise<Buffer> {
  return Buffer.from(await file.arrayBuffer());
}
