import Parse from 'parse';
import { type Cipher, type Content, type Sealed, type Unread, whyUnread } from './cipher';
import { download, upload } from './files';
import type { Phone } from './phone';

/** In your app: the class of its messages. */
const CLASS = 'PlaygroundMessage';

export interface Message {
  id: string;
  senderId: string;
  sentAt: Date;
  content: Content | { unread: Unread };
}

/** What no app should do, and the server refuses. */
export type Mistake =
  | 'not encrypted'
  /** Encrypted for nobody but the sender, though others may read the row: `findUsers` was not called for them. */
  | 'reader left out';

export interface ConversationOptions {
  threadId: string;
  /** Of a group's conversation: the ID under which E3Kit knows the group. */
  groupId?: string;
  /** The users who may fetch the messages: their ACL. Who can open them is the cipher's matter. */
  participants: string[];
  cipher: Cipher;
  /** Called after each change of `messages` and of `isConnected`. */
  onChange: () => void;
  /** Called when the messages cannot be fetched after a reconnection. */
  onError: (error: unknown) => void;
}

/** The messages of one thread on one phone: fetched, kept up to date by LiveQuery, decrypted, and sent. */
export class Conversation {
  #rows = new Map<string, Parse.Object>();
  #messages = new Map<string, Message>();
  #subscription?: Awaited<ReturnType<Parse.Query['subscribe']>>;
  #sent: Promise<void> = Promise.resolve();
  isConnected = false;

  constructor(
    private readonly phone: Phone,
    private readonly options: ConversationOptions,
  ) {}

  /** Oldest first. */
  get messages(): Message[] {
    return [...this.#messages.values()].sort((one, other) => one.sentAt.getTime() - other.sentAt.getTime());
  }

  /** @throws Parse.Error: 209 when the session is no longer valid */
  async open(): Promise<void> {
    const { sessionToken } = this.phone.session;
    const query = new Parse.Query(CLASS).equalTo('threadId', this.options.threadId).descending('createdAt');
    // LiveQuery checks each message's ACL against this session; without a session nothing would arrive.
    const subscription = await query.subscribe(sessionToken);
    this.#subscription = subscription;
    const take = async (row: Parse.Object) => {
      // Who was added to a group and can read this one can read what came before it, too.
      if (await this.#read([row])) await this.readAgain();
    };
    subscription.on('create', take);
    subscription.on('update', take);
    subscription.on('close', () => this.#connected(false));
    const fetchLatest = async () => {
      await this.#read(await query.limit(100).find({ sessionToken }));
      await this.readAgain();
      this.#connected(true);
    };
    // Also after each reconnection, as LiveQuery does not repeat what happened in between.
    subscription.on('open', () => fetchLatest().catch(this.options.onError));
    // Where the session is no longer valid, LiveQuery refuses to subscribe again. A query fails with the code.
    const reportInvalidSession = (error: Parse.Error) => {
      if (error.code === Parse.Error.INVALID_SESSION_TOKEN) this.options.onError(error);
    };
    subscription.on('error', () => query.find({ sessionToken }).catch(reportInvalidSession));
    await fetchLatest();
  }

  /** Takes no further messages. */
  close(): void {
    // Not `subscription.unsubscribe()`: where two phones have subscribed at once, Parse JS has made two clients, of which it
    // asks the newer one, and so ends another subscription that has the same number there.
    this.#subscription?.client.unsubscribe(this.#subscription);
  }

  /** @throws Parse.Error, GroupError */
  async send(content: Content): Promise<void> {
    await this.#inTurn(async () => this.#save(await this.options.cipher.seal(content)));
  }

  /** @throws Parse.Error 142 */
  async sendByMistake(mistake: Mistake, { text, photo }: Content): Promise<void> {
    await this.#inTurn(async () => {
      const { e3kit } = this.phone;
      const body = mistake === 'not encrypted' ? text : ((await e3kit.authEncrypt(text)) as string);
      await this.#save({ body, file: photo });
    });
  }

  /** Tries again what could not be read, as after restoring the key. */
  async readAgain(): Promise<void> {
    const unread = this.messages.filter(({ content }) => 'unread' in content);
    await this.#read(unread.map(({ id }) => this.#rows.get(id) as Parse.Object));
  }

  /** Messages go out in the order in which they were written. */
  #inTurn(send: () => Promise<void>): Promise<void> {
    const sent = this.#sent.then(send);
    this.#sent = sent.catch(() => {});
    return sent;
  }

  async #save({ body, file }: Sealed): Promise<void> {
    const { userId, sessionToken } = this.phone.session;
    const { threadId, groupId, participants } = this.options;
    const acl = new Parse.ACL();
    acl.setWriteAccess(userId, true);
    for (const participant of participants) acl.setReadAccess(participant, true);
    const timestamp = new Date().toISOString();
    const row = new Parse.Object(CLASS, {
      body,
      senderId: userId,
      threadId,
      timestamp,
      ...(groupId && { groupId }),
      ...(file && { photo: await upload(file, sessionToken) }),
    });
    row.setACL(acl);
    await row.save(null, { sessionToken });
  }

  /** @returns whether the last of them could be read */
  async #read(rows: Parse.Object[]): Promise<boolean> {
    let isRead = false;
    for (const row of rows) {
      const id = row.id as string;
      const known = this.#rows.get(id);
      // LiveQuery and a fetch may overtake each other.
      if (known && known !== row && (known.updatedAt as Date) >= (row.updatedAt as Date)) continue;
      this.#rows.set(id, row);
      const senderId: string = row.get('senderId');
      const content = await this.#open(row, senderId).catch((error) => ({ unread: whyUnread(error) }));
      // While it was decrypted, a later version may have come.
      if (this.#rows.get(id) !== row) continue;
      this.#messages.set(id, { id, senderId, sentAt: row.createdAt as Date, content });
      isRead = 'text' in content;
    }
    this.options.onChange();
    return isRead;
  }

  async #open(row: Parse.Object, senderId: string): Promise<Content> {
    const photo: Parse.File | undefined = row.get('photo');
    const file = photo && (await download(photo));
    return this.options.cipher.open({ body: row.get('body'), file }, senderId);
  }

  #connected(isConnected: boolean): void {
    this.isConnected = isConnected;
    this.options.onChange();
  }
}
