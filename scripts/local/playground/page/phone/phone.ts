import { EThree } from '@virgilsecurity/e3kit-browser';
import Parse from 'parse';
import { isOfAnotherSigner } from './cipher';

/** A user signed in with Parse. */
export interface Session {
  /** The `objectId`, which is also the identity at Virgil. */
  userId: string;
  sessionToken: string;
}

export type Card = Awaited<ReturnType<EThree['findUsers']>>[string];

/** One user's E3Kit on one device. */
export class Phone {
  #cards = new Map<string, Promise<Card>>();

  private constructor(
    readonly session: Session,
    readonly e3kit: EThree,
    public hasKey: boolean,
  ) {}

  /**
   * Starts E3Kit for a user. A user's first phone makes the private key and publishes the public one; on any further
   * phone `hasKey` is false until `restoreKey`. It makes no backup: your app needs one, as the README's `start` makes it.
   *
   * @param device a name of this device's own, the same at every start
   */
  static async open(session: Session, device: string): Promise<Phone> {
    const e3kit = await EThree.initialize(() => getVirgilToken(session), {
      // Leave this out to use Virgil's own cloud.
      apiUrl: `${location.origin}/virgil`,
      // By default all users of an origin share one storage, and the second one to sign in finds the first one's key.
      storageName: `keys-${device}-${session.userId}`,
      groupStorageName: `groups-${device}-${session.userId}`,
    });
    return new Phone(session, e3kit, await hasKey(e3kit));
  }

  /** The public key that a user has published, as it was when this phone first asked. */
  cardOf(userId: string): Promise<Card> {
    let card = this.#cards.get(userId);
    if (!card) {
      card = this.e3kit.findUsers(userId) as Promise<Card>;
      card.catch(() => this.#cards.delete(userId));
      this.#cards.set(userId, card);
    }
    return card;
  }

  /** Has it looked for anew: an app does so now and then, since users may have been deleted. */
  forgetCard(userId: string): void {
    this.#cards.delete(userId);
  }

  /**
   * Opens what a user has signed with any of their keys: the card of a new key names the card of the key before. No date
   * says which of them it was: cards know only the second, and a row that was moved or changed has a later date.
   *
   * @param open tries one card
   * @throws what `open` has thrown, for the oldest card where none of them has signed it
   */
  async openAs<Opened>(userId: string, open: (card: Card) => Promise<Opened>): Promise<Opened> {
    const known = await this.cardOf(userId);
    try {
      return await openWithChain(known, open);
    } catch (error) {
      if (!isOfAnotherSigner(error)) throw error;
      // The key may be newer than the card that this phone remembers.
      this.forgetCard(userId);
      const current = await this.cardOf(userId);
      if (current.id === known.id) throw error;
      return openWithChain(current, open);
    }
  }

  async cardsOf(userIds: string[]): Promise<Record<string, Card>> {
    return Object.fromEntries(await Promise.all(userIds.map(async (id) => [id, await this.cardOf(id)])));
  }

  /** Stores the private key at Virgil, encrypted with a key that only this password yields (BrainKey). */
  async backUpKey(password: string): Promise<void> {
    // A second backup is refused while there is a first one, so that none is overwritten by mistake. Here it is meant.
    await this.e3kit.resetPrivateKeyBackup();
    await this.e3kit.backupPrivateKey(password);
  }

  /** @throws WrongKeyknoxPasswordError, PrivateKeyNoBackupError */
  async restoreKey(password: string): Promise<void> {
    await this.e3kit.restorePrivateKey(password);
    this.hasKey = true;
  }

  /** Deletes the user for good. The server sees to it that the public key and the backup go as well. */
  async deleteAccount(): Promise<void> {
    const { userId, sessionToken } = this.session;
    await Parse.User.createWithoutData(userId).destroy({ sessionToken });
    await this.forgetKey();
  }

  /** Takes the private key off this device, as when it is handed on. Without a backup its messages are lost. */
  async forgetKey(): Promise<void> {
    await this.e3kit.cleanup();
    this.hasKey = false;
  }
}

async function openWithChain<Opened>(newest: Card, open: (card: Card) => Promise<Opened>): Promise<Opened> {
  try {
    return await open(newest);
  } catch (error) {
    if (!isOfAnotherSigner(error) || !newest.previousCard) throw error;
    return openWithChain(newest.previousCard, open);
  }
}

/** E3Kit keeps the token and asks for another when it is about to expire, or was refused: do not cache it yourself. */
async function getVirgilToken({ sessionToken }: Session): Promise<string> {
  const { token } = await Parse.Cloud.run('virgil-jwt', {}, { sessionToken });
  return token;
}

async function hasKey(e3kit: EThree): Promise<boolean> {
  if (await e3kit.hasLocalPrivateKey()) return true;
  try {
    await e3kit.register();
    return true;
  } catch (error) {
    // By its name: E3Kit's classes of errors do not survive every bundler.
    if (error instanceof Error && error.name === 'IdentityAlreadyExistsError') return false;
    throw error;
  }
}
