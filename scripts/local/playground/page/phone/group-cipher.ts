import type { EThree } from '@virgilsecurity/e3kit-browser';
import { type Cipher, type Content, isNoAccess, type Sealed } from './cipher';
import { pack, unpack } from './files';
import type { Card, Phone } from './phone';

type Group = Awaited<ReturnType<EThree['createGroup']>>;

/** E3Kit's own limit of a group message's text. */
const MAX_TEXT_BYTES = 30_000;

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

  async seal({ text, photo }: Content): Promise<Sealed> {
    // Without this a phone that has missed a change goes on with the old key, which a removed member has too.
    const group = await this.#update();
    const encrypt = async (data: string) => (await group.encrypt(data)) as string;
    if (!photo && new Blob([text]).size <= MAX_TEXT_BYTES) return { body: await encrypt(text) };
    // A file of any size has a key of its own, and the group message holds that key: so whoever can read the message can
    // open the file, and nobody else.
    const { encryptedSharedFile, fileKey } = await this.phone.e3kit.encryptSharedFile(pack({ text, photo }));
    return { body: await encrypt((fileKey as Buffer).toString('base64')), file: encryptedSharedFile };
  }

  async open({ body, file }: Sealed, senderId: string): Promise<Content> {
    const { phone } = this;
    const text = await phone.openAs(senderId, (card) => this.#decrypt(body, card));
    if (!file) return { text };
    return unpack(await phone.openAs(senderId, (card) => phone.e3kit.decryptSharedFile(file, text, card)));
  }

  async #decrypt(body: string, sender: Card): Promise<string> {
    const group = this.#group ?? (await this.#update());
    try {
      return (await group.decrypt(body, sender)) as string;
    } catch (error) {
      // GroupIsOutdated (10): members have changed since.
      if ((error as { errorCode?: number }).errorCode !== 10) throw error;
      return (await (await this.#update()).decrypt(body, sender)) as string;
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
