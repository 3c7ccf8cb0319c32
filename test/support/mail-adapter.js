const { appendFileSync } = require('node:fs');

/** Parse Server's `emailAdapter`: appends what it would send to a file, a line of JSON each. */
module.exports = class MailAdapter {
  constructor({ file }) {
    const write = async (mail) => appendFileSync(file, `${JSON.stringify(mail)}\n`);
    this.sendMail = write;
    this.sendVerificationEmail = ({ link }) => write({ verify: link });
    this.sendPasswordResetEmail = ({ link }) => write({ reset: link });
  }
};
