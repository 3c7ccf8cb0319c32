import { appendFileSync } from 'node:fs';

/** Parse Server's `emailAdapter`: appends what it would send to a file, a line of JSON each. */
export default class MailAdapter {
  constructor(private readonly options: { file: string }) {}

  private write(mail: object): Promise<void> {
    appendFileSync(this.options.file, `${JSON.stringify(mail)}\n`);
    return Promise.resolve();
  }
  sendMail(mail: object): Promise<void> {
    return this.write(mail);
  }
  sendVerificationEmail({ link }: { link: string }): Promise<void> {
    return this.write({ verify: link });
  }
  sendPasswordResetEmail({ link }: { link: string }): Promise<void> {
    return this.write({ reset: link });
  }
}
