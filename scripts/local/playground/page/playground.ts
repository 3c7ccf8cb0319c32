import Parse from 'parse';
import { Conversation } from './phone/conversation';
import { DirectCipher } from './phone/direct-cipher';
import { GroupCipher } from './phone/group-cipher';
import { Phone, type Session } from './phone/phone';

export type Mode = 'direct' | 'group';
export type Name = 'Alice' | 'Bob' | 'Carol';

/** A user of Parse, made for this page. The page knows the account's password; that of the key's backup it never keeps. */
interface Account extends Session {
  username: string;
  password: string;
}

/** What the page remembers. Keys are not in it: E3Kit keeps those, in the browser's IndexedDB. */
interface Memory {
  /** Distinguishes the users and conversations of this browser from those of others at the same server. */
  id: string;
  accounts: Partial<Record<Name, Account>>;
  mode: Mode;
  isBackedUp: boolean;
  hasNewPhone: boolean;
}

/** One phone on the page. */
export interface Device {
  title: string;
  owner: Name;
  /** Absent while it starts. */
  phone?: Phone;
  conversations: Partial<Record<Mode, Conversation>>;
  group?: GroupCipher;
}

/** What the server refused to store: known to nobody but the phone that sent it. */
export interface Refusal {
  device: Device;
  at: Date;
  mode: Mode;
}

const MEMORY = 'playground';

/** The phones on the page, and what the page remembers of them. */
export class Playground {
  #memory: Memory;
  #onChange: () => void;
  readonly devices: Device[] = [];
  readonly refusals: Refusal[] = [];
  /** Grows whenever a conversation has changed: then the database may hold something else. */
  revision = 0;
  /** Whether phones or conversations are being opened. */
  isBusy = false;
  /** What went wrong then, in words. */
  fault = '';

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#memory = JSON.parse(localStorage.getItem(MEMORY) ?? 'null') ?? {
      id: crypto.randomUUID().slice(0, 8),
      accounts: {},
      mode: 'direct',
      isBackedUp: false,
      hasNewPhone: false,
    };
  }

  get mode(): Mode {
    return this.#memory.mode;
  }

  get isBackedUp(): boolean {
    return this.#memory.isBackedUp;
  }

  get threadId(): string {
    return this.#threadId(this.mode);
  }

  nameOf(userId: string): Name | undefined {
    const entries = Object.entries(this.#memory.accounts) as [Name, Account][];
    return entries.find(([, account]) => account.userId === userId)?.[0];
  }

  idOf(name: Name): string {
    return this.#memory.accounts[name]?.userId ?? '';
  }

  async start(): Promise<void> {
    await this.#guarded(async () => {
      await Promise.all([this.#addDevice('Alice'), this.#addDevice('Bob')]);
      if (this.#memory.hasNewPhone) await this.#addNewPhone();
      await this.#openConversations();
    });
  }

  async switchTo(mode: Mode): Promise<void> {
    this.#remember({ mode });
    await this.#guarded(() => this.#openConversations());
  }

  async send(device: Device, text: string, encrypted: boolean): Promise<void> {
    const conversation = device.conversations[this.mode] as Conversation;
    try {
      if (encrypted) await conversation.send(text);
      else await conversation.sendWithoutEncrypting(text);
    } catch (error) {
      if (isParseError(error, Parse.Error.VALIDATION_ERROR)) {
        this.refusals.push({ device, at: new Date(), mode: this.mode });
      }
      this.#beginAnewWithoutSession(error);
      throw error;
    } finally {
      this.#onChange();
    }
  }

  /** Alice, who made the group, adds Carol or removes her, and says so. */
  async changeGroup(device: Device, change: 'add' | 'remove'): Promise<void> {
    await device.group?.[change](this.idOf('Carol'));
    await device.conversations.group?.send(`I ${change === 'add' ? 'added' : 'removed'} Carol.`);
    this.#onChange();
  }

  async backUpKey(device: Device, password: string): Promise<void> {
    await device.phone?.backUpKey(password);
    this.#remember({ isBackedUp: true });
  }

  /** Alice signs in on another phone, which then lacks her key. */
  async addNewPhone(): Promise<void> {
    this.#remember({ hasNewPhone: true });
    await this.#guarded(async () => {
      await this.#addNewPhone();
      await this.#openConversations();
    });
  }

  async restoreKey({ phone, conversations }: Device, password: string): Promise<void> {
    await phone?.restoreKey(password);
    this.#onChange();
    await Promise.all(Object.values(conversations).map((conversation) => conversation.readAgain()));
  }

  async #addDevice(owner: Name): Promise<void> {
    const device: Device = { title: `${owner}’s phone`, owner, conversations: {} };
    this.devices.push(device);
    this.#onChange();
    device.phone = await Phone.open(await this.#signIn(owner), 'phone');
    this.#onChange();
  }

  async #addNewPhone(): Promise<void> {
    const device: Device = { title: 'Alice’s new phone', owner: 'Alice', conversations: {} };
    this.devices.push(device);
    this.#onChange();
    const { username, password } = this.#memory.accounts.Alice as Account;
    const user = await Parse.User.logIn(username, password);
    device.phone = await Phone.open(sessionOf(user), 'new-phone');
  }

  async #signIn(name: Name): Promise<Session> {
    const known = this.#memory.accounts[name];
    if (known) return known;
    const username = `${name}-${this.#memory.id}`;
    const password = crypto.randomUUID();
    const user = await new Parse.User({ username, password }).signUp();
    const account = { ...sessionOf(user), username, password };
    this.#remember({ accounts: { ...this.#memory.accounts, [name]: account } });
    return account;
  }

  /** Opens, on every phone, the conversation that is shown, unless it is open. */
  async #openConversations(): Promise<void> {
    const { mode } = this;
    if (mode === 'group' && !this.devices.some(({ owner }) => owner === 'Carol'))
      await this.#addDevice('Carol');
    const names: Name[] = mode === 'group' ? ['Alice', 'Bob', 'Carol'] : ['Alice', 'Bob'];
    const participants = names.map((name) => this.idOf(name));
    const open = async (device: Device, phone: Phone) => {
      const conversation = new Conversation(phone, {
        threadId: this.#threadId(mode),
        // Carol stays on the ACL when she is removed, to show that what she still fetches is of no use to her. An
        // app takes her off it as well.
        participants,
        cipher:
          mode === 'direct'
            ? new DirectCipher(phone, this.idOf(device.owner === 'Alice' ? 'Bob' : 'Alice'))
            : await this.#groupCipher(device, phone),
        onChange: () => {
          this.revision++;
          this.#onChange();
        },
        onError: (error) => this.#report(error),
      });
      await conversation.open();
      device.conversations[mode] = conversation;
      this.#onChange();
    };
    await Promise.all(
      this.devices
        .filter(({ owner, conversations }) => names.includes(owner) && !conversations[mode])
        .map((device) => device.phone && open(device, device.phone)),
    );
  }

  async #groupCipher(device: Device, phone: Phone): Promise<GroupCipher> {
    device.group = new GroupCipher(phone, this.#threadId('group'), this.idOf('Alice'));
    if (device.owner === 'Alice' && phone.hasKey) {
      await device.group.create([this.idOf('Bob'), this.idOf('Carol')]);
    }
    return device.group;
  }

  #threadId(mode: Mode): string {
    return `playground-${this.#memory.id}-${mode}`;
  }

  #remember(change: Partial<Memory>): void {
    this.#memory = { ...this.#memory, ...change };
    localStorage.setItem(MEMORY, JSON.stringify(this.#memory));
    this.#onChange();
  }

  async #guarded(action: () => Promise<void>): Promise<void> {
    this.fault = '';
    this.isBusy = true;
    this.#onChange();
    await action().catch((error) => this.#report(error));
    this.isBusy = false;
    this.#onChange();
  }

  #report(error: unknown): void {
    this.#beginAnewWithoutSession(error);
    this.fault = error instanceof Error ? error.message : String(error);
    this.#onChange();
  }

  /** After `npm start -- --fresh` the server knows none of these users any more. */
  #beginAnewWithoutSession(error: unknown): void {
    if (isParseError(error, Parse.Error.INVALID_SESSION_TOKEN)) this.#beginAnew();
  }

  async #beginAnew(): Promise<void> {
    const userIds = Object.values(this.#memory.accounts).map(({ userId }) => userId);
    localStorage.removeItem(MEMORY);
    for (const { name = '' } of await indexedDB.databases()) {
      if (userIds.some((userId) => name.includes(userId))) indexedDB.deleteDatabase(name);
    }
    location.reload();
  }
}

export function isParseError(error: unknown, code: number): boolean {
  return error instanceof Parse.Error && error.code === code;
}

function sessionOf(user: Parse.User): Session {
  return { userId: user.id as string, sessionToken: user.getSessionToken() as string };
}
