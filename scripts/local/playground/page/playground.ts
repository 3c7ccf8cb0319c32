import Parse from 'parse';
import type { StoredMessage } from '../stored-messages';
import { type Content, isNobodyFound } from './phone/cipher';
import { Conversation, type Mistake } from './phone/conversation';
import { DirectCipher } from './phone/direct-cipher';
import { GroupCipher } from './phone/group-cipher';
import { Phone, type Session } from './phone/phone';
import { fetchStored, tamper } from './server';

export type Mode = 'direct' | 'group';
export type Name = 'Alice' | 'Bob' | 'Carol';
/** What the page suggests to try. */
export type Step = 'plaintext' | 'tamper' | 'phone' | 'photo' | 'recipient' | 'group' | 'account';

/** What the page remembers. Keys are not in it: E3Kit keeps those, in the browser's IndexedDB. Nor is any password. */
interface Memory {
  /** Distinguishes the users and conversations of this browser from those of others at the same server. */
  id: string;
  /** Users of Parse, made for this page. */
  accounts: Partial<Record<Name, Session>>;
  mode: Mode;
  /** The steps that the visitor has taken. */
  done: Step[];
  /** How many phones Alice has lost. */
  lostPhones: number;
  /** Whether Bob has deleted his account. */
  isBobGone: boolean;
}

/** One phone on the page. */
export interface Device {
  title: string;
  owner: Name;
  /** Absent while it starts. */
  phone?: Phone;
  conversations: Partial<Record<Mode, Conversation>>;
  group?: GroupCipher;
  /** Whether its user is deleted. */
  isGone?: boolean;
}

/** What the server refused to store, or what had no reader: known to nobody but the phone that sent it. */
export interface Refusal {
  device: Device;
  mode: Mode;
  at: Date;
  draft: Content;
  mistake: Mistake | 'nobody found';
  /** In the server's words, or E3Kit's. */
  reason: string;
}

const MEMORY = 'playground';
const NAMES: Record<Mode, Name[]> = { direct: ['Alice', 'Bob'], group: ['Alice', 'Bob', 'Carol'] };
/** What the phones write to each other when a conversation is opened for the first time. */
const OPENING: Record<Mode, [Name, string][]> = {
  direct: [
    ['Alice', 'The results are in: all clear.'],
    ['Bob', 'What a relief! Dinner at eight?'],
  ],
  group: [['Carol', 'Hello, both of you!']],
};

/** The phones on the page, what the server stores of their conversation, and what the page remembers of them. */
export class Playground {
  #memory: Memory;
  #onChange: () => void;
  #waiting = new Set<() => void>();
  /** While the server is asked what it stores: whether something has changed since. */
  #hasChanged?: boolean;
  devices: Device[] = [];
  /** Of the conversation that is shown. */
  stored: StoredMessage[] = [];
  /** Why the server does not tell, in words. */
  storedFault = '';
  refusals: Refusal[] = [];
  /** Whether phones or conversations are being opened. */
  isBusy = false;
  /** What a phone asks before it is done: for the password of Alice's backup, and whether Bob means it. */
  asking?: 'phone' | 'account';
  /** What went wrong, in words. */
  fault = '';

  constructor(onChange: () => void) {
    this.#onChange = () => {
      for (const check of this.#waiting) check();
      onChange();
    };
    this.#memory = {
      id: crypto.randomUUID().slice(0, 8),
      accounts: {},
      mode: 'direct',
      done: [],
      lostPhones: 0,
      isBobGone: false,
      ...JSON.parse(localStorage.getItem(MEMORY) ?? '{}'),
    };
  }

  get mode(): Mode {
    return this.#memory.mode;
  }

  get done(): Step[] {
    return this.#memory.done;
  }

  get isBobGone(): boolean {
    return this.#memory.isBobGone;
  }

  /** The phones that take part in the conversation that is shown. */
  get phones(): Device[] {
    return NAMES[this.mode].flatMap((name) => this.devices.find(({ owner }) => owner === name) ?? []);
  }

  /** Whether every phone is in the conversation. */
  get isReady(): boolean {
    return (
      !this.isBusy && this.phones.every(({ conversations, isGone }) => isGone || conversations[this.mode])
    );
  }

  nameOf(userId: string): Name | undefined {
    return NAMES.group.find((name) => this.#idOf(name) === userId);
  }

  async start(): Promise<void> {
    await this.#open(async () => {
      await Promise.all([
        this.#addDevice('Alice'),
        this.isBobGone ? this.#markGone() : this.#addDevice('Bob'),
      ]);
    });
  }

  async switchTo(mode: Mode): Promise<void> {
    this.stored = [];
    this.asking = undefined;
    this.#remember({ mode });
    this.#readStored();
    await this.#open(async () => {});
    if (mode === 'group') this.#finish('group');
  }

  /** @returns whether it was stored: what the server has refused is among the refusals */
  async send(device: Device, draft: Content, mistake?: Mistake): Promise<boolean> {
    const { mode } = this;
    const conversation = device.conversations[mode] as Conversation;
    try {
      if (mistake) await conversation.sendByMistake(mistake, draft);
      else await conversation.send(draft);
      if (draft.photo) this.#finish('photo');
      return true;
    } catch (error) {
      this.#beginAnewWithoutSession(error);
      if (isNobodyFound(error)) {
        const { message: reason } = error as Error;
        this.refusals.push({ device, mode, at: new Date(), draft, mistake: 'nobody found', reason });
        this.#onChange();
        return false;
      }
      if (!mistake || !isParseError(error, Parse.Error.VALIDATION_ERROR)) throw error;
      const { message } = error as Parse.Error;
      // The server cannot know that a file is a group's.
      const reason = mode === 'group' ? message.replace('authEncryptFile(', 'group.encrypt(') : message;
      this.refusals.push({ device, mode, at: new Date(), draft, mistake, reason });
      this.#finish(mistake === 'not encrypted' ? 'plaintext' : 'recipient');
      return false;
    }
  }

  /** Sends what was refused as it should have been sent. */
  async mend(refusal: Refusal): Promise<void> {
    await this.send(refusal.device, refusal.draft);
    this.refusals = this.refusals.filter((other) => other !== refusal);
    this.#onChange();
  }

  /** Whether a stored message is not what its sender wrote, as a phone that can open it has noticed. */
  isTampered(objectId: string): boolean {
    return this.phones.some(({ conversations }) =>
      conversations[this.mode]?.messages.some(
        ({ id, content }) => id === objectId && 'unread' in content && content.unread === 'not trusted',
      ),
    );
  }

  /** Flips a bit of a stored message, or flips it back. */
  async tamper(objectId: string): Promise<void> {
    await tamper(objectId);
    this.#finish('tamper');
  }

  /** Alice, who made the group, adds Carol or removes her, and says so. */
  async changeGroup(device: Device, change: 'add' | 'remove'): Promise<void> {
    await device.group?.[change](this.#idOf('Carol'));
    await device.conversations.group?.send({ text: `I ${change === 'add' ? 'added' : 'removed'} Carol.` });
    this.#onChange();
  }

  ask(what: Playground['asking']): void {
    this.asking = what;
    this.#onChange();
  }

  /** Bob deletes his account. Alice, who does not know, writes to him. */
  async deleteAccount({ phone, conversations }: Device): Promise<void> {
    await phone?.deleteAccount();
    for (const conversation of Object.values(conversations)) conversation.close();
    this.asking = undefined;
    this.#remember({ isBobGone: true });
    this.#markGone();
    this.#finish('account');
    const alice = this.phones.find(({ owner }) => owner === 'Alice') as Device;
    alice.phone?.forgetCard(this.#idOf('Bob'));
    if (alice.phone?.hasKey) await this.attempt(() => this.send(alice, { text: 'Are you there, Bob?' }));
  }

  /** Alice backs her key up, loses the phone and signs in on another one, which then lacks her key. */
  async losePhone(lost: Device, password: string): Promise<void> {
    await lost.phone?.backUpKey(password);
    await this.#open(async () => {
      for (const conversation of Object.values(lost.conversations)) conversation.close();
      await lost.phone?.forgetKey();
      this.asking = undefined;
      this.#remember({ lostPhones: this.#memory.lostPhones + 1 });
      await this.#addDevice('Alice');
    });
  }

  async restoreKey({ phone, group, conversations }: Device, password: string): Promise<void> {
    await phone?.restoreKey(password);
    this.asking = undefined;
    this.#finish('phone');
    await this.attempt(async () => {
      if (group) await this.#create(group);
      await Promise.all(Object.values(conversations).map((conversation) => conversation.readAgain()));
      await this.#exchange();
    });
  }

  /** Does what may fail outside the phones, and tells of it at the top of the page. */
  async attempt(action: () => Promise<unknown>): Promise<void> {
    this.fault = '';
    await action().catch((error) => this.#report(error));
    this.#onChange();
  }

  /** Opens phones, and on each of them the conversation that is shown. */
  async #open(phones: () => Promise<void>): Promise<void> {
    this.isBusy = true;
    await this.attempt(async () => {
      await phones();
      await this.#openConversations();
    });
    this.isBusy = false;
    this.#onChange();
    if (!this.fault) await this.attempt(() => this.#exchange());
  }

  /** Adds the phone of a user, in the place of one that is lost. */
  async #addDevice(owner: Name): Promise<void> {
    const lost = owner === 'Alice' ? this.#memory.lostPhones : 0;
    const device: Device = { title: `${owner}’s ${lost ? 'new ' : ''}phone`, owner, conversations: {} };
    this.#show(device);
    device.phone = await Phone.open(await this.#signIn(owner), lost ? `phone-${lost}` : 'phone');
    this.#onChange();
  }

  #markGone(): void {
    this.#show({ title: 'Bob’s phone', owner: 'Bob', conversations: {}, isGone: true });
  }

  /** In the place of the owner's other one. */
  #show(device: Device): void {
    this.devices = [...this.devices.filter(({ owner }) => owner !== device.owner), device];
    this.#onChange();
  }

  async #signIn(name: Name): Promise<Session> {
    const known = this.#memory.accounts[name];
    if (known) return known;
    const username = `${name}-${this.#memory.id}`;
    const user = await new Parse.User({ username, password: crypto.randomUUID() }).signUp();
    const account = { userId: user.id as string, sessionToken: user.getSessionToken() as string };
    this.#remember({ accounts: { ...this.#memory.accounts, [name]: account } });
    return account;
  }

  /** Opens, on every phone, the conversation that is shown, unless it is open. */
  async #openConversations(): Promise<void> {
    const { mode } = this;
    if (mode === 'group' && !this.devices.some(({ owner }) => owner === 'Carol'))
      await this.#addDevice('Carol');
    const participants = NAMES[mode].map((name) => this.#idOf(name));
    const open = async (device: Device, phone: Phone) => {
      const conversation = new Conversation(phone, {
        threadId: this.#threadId(mode),
        ...(mode === 'group' && { groupId: this.#threadId(mode) }),
        // Carol stays on the ACL when she is removed, to show that what she still fetches is of no use to her. An
        // app takes her off it as well.
        participants,
        cipher:
          mode === 'direct'
            ? new DirectCipher(phone, this.#idOf(device.owner === 'Alice' ? 'Bob' : 'Alice'))
            : await this.#groupCipher(device, phone),
        onChange: () => {
          this.#readStored();
          this.#onChange();
        },
        onError: (error) => this.#report(error),
      });
      // With the cards at hand the first message waits for nothing. One that is not found is looked for again then.
      await Promise.all([conversation.open(), phone.cardsOf(participants).catch(() => {})]);
      device.conversations[mode] = conversation;
      this.#onChange();
    };
    await Promise.all(
      this.phones
        .filter(({ conversations }) => !conversations[mode])
        .map((device) => device.phone && open(device, device.phone)),
    );
  }

  async #groupCipher(device: Device, phone: Phone): Promise<GroupCipher> {
    device.group = new GroupCipher(phone, this.#threadId('group'), this.#idOf('Alice'));
    if (device.owner === 'Alice' && phone.hasKey) await this.#create(device.group);
    return device.group;
  }

  /** Alice makes the group, unless there is one. */
  #create(group: GroupCipher): Promise<void> {
    return group.create([this.#idOf('Bob'), this.#idOf('Carol')]);
  }

  /** In a conversation without a message the phones begin, each answering what it has read. */
  async #exchange(): Promise<void> {
    const { mode, phones } = this;
    const hasRead = (count: number) => (device: Device) =>
      (device.conversations[mode]?.messages.length ?? 0) >= count;
    if (phones.some(hasRead(1)) || !phones.every(({ phone }) => phone?.hasKey)) return;
    for (const [index, [name, text]] of OPENING[mode].entries()) {
      await this.#until(() => phones.every(hasRead(index)));
      if (this.mode !== mode) return;
      await this.send(phones.find(({ owner }) => owner === name) as Device, { text });
    }
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((done) => {
      const check = () => {
        if (!condition()) return;
        this.#waiting.delete(check);
        done();
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Asks the server what it stores, one time after the other, until nothing has changed since. */
  async #readStored(): Promise<void> {
    const isReading = this.#hasChanged !== undefined;
    this.#hasChanged = true;
    if (isReading) return;
    while (this.#hasChanged) {
      this.#hasChanged = false;
      const threadId = this.#threadId(this.mode);
      let { stored } = this;
      let fault = '';
      try {
        stored = await fetchStored(threadId);
      } catch (error) {
        fault = (error as Error).message;
      }
      if (threadId !== this.#threadId(this.mode)) continue;
      Object.assign(this, { stored, storedFault: fault });
      this.#onChange();
    }
    this.#hasChanged = undefined;
  }

  #idOf(name: Name): string {
    return this.#memory.accounts[name]?.userId ?? '';
  }

  #threadId(mode: Mode): string {
    return `playground-${this.#memory.id}-${mode}`;
  }

  #finish(step: Step): void {
    this.#remember({ done: [...new Set([...this.done, step])] });
  }

  #remember(change: Partial<Memory>): void {
    this.#memory = { ...this.#memory, ...change };
    localStorage.setItem(MEMORY, JSON.stringify(this.#memory));
    this.#onChange();
  }

  #report(error: unknown): void {
    this.#beginAnewWithoutSession(error);
    this.fault = error instanceof Error ? error.message : String(error);
    this.#onChange();
  }

  /** After `npm start -- --fresh` the server knows none of these users any more. */
  #beginAnewWithoutSession(error: unknown): void {
    if (isParseError(error, Parse.Error.INVALID_SESSION_TOKEN)) this.beginAnew();
  }

  /** With other users. */
  async beginAnew(): Promise<void> {
    const userIds = Object.values(this.#memory.accounts).map(({ userId }) => userId);
    localStorage.removeItem(MEMORY);
    for (const { name = '' } of await indexedDB.databases()) {
      if (userIds.some((userId) => name.includes(userId))) indexedDB.deleteDatabase(name);
    }
    location.reload();
  }
}

function isParseError(error: unknown, code: number): boolean {
  return error instanceof Parse.Error && error.code === code;
}
