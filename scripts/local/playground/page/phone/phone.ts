import { EThree } from '@virgilsecurity/e3kit-browser';
import Parse from 'parse';

/** A user signed in with Parse. */
export interface Session {
  /** The `objectId`, which is also the identity at Virgil. */
  userId: string;
  sessionToken: string;
}

type Card = Awaited<ReturnType<EThree['findUsers']>>[string];

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
   * phone `hasKey` is false until `restoreKey`.
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

  /** The published public key of a user. It does not change but by `rotatePrivateKey`, which this app does not call. */
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
