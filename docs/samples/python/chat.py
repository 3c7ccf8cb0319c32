"""End-to-end encrypted messages from Python: E3Kit reads what this sends, and the other way round. How to run it: docs/clients.md."""

import json
import os
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from virgil_crypto import VirgilCrypto
from virgil_crypto.card_crypto import CardCrypto
from virgil_crypto_lib.foundation import Aes256Gcm, RandomPadding, RecipientCipher, Sha512
from virgil_sdk import CardManager, VirgilCardVerifier
from virgil_sdk.jwt import TokenContext
from virgil_sdk.jwt.providers import CachingCallbackProvider

# Those of `npm start`. Back4App's: https://parseapi.back4app.com, and both keys of your app; https://api.virgilsecurity.com.
PARSE_URL = os.environ.get("PARSE_URL", "http://127.0.0.1:1337/parse")
PARSE_APP_ID = os.environ.get("PARSE_APP_ID", "e2ee-local")
PARSE_REST_KEY = os.environ.get("PARSE_REST_KEY", "none")
VIRGIL_URL = os.environ.get("VIRGIL_API_URL", "http://127.0.0.1:1337/virgil")


class Chat:
    """Logs in, or signs up, and has the user's keys ready."""

    def __init__(self, username, password):
        self.session = None
        user = {"username": username, "password": password}
        try:
            account = self.parse("POST", "/login", user)
        except RuntimeError:  # no such user
            account = self.parse("POST", "/users", user)
        self.session = account["sessionToken"]
        self.me = account["objectId"]

        self.crypto = VirgilCrypto()
        card_crypto = CardCrypto(self.crypto)
        # Asks for a token when there is none yet, or when it has expired.
        self.tokens = CachingCallbackProvider(
            lambda context, token_ttl: self.parse("POST", "/functions/virgil-jwt", {})["result"]["token"]
        )
        # Self-signatures are checked; Virgil's own only where the cards are Virgil's.
        virgil = VIRGIL_URL == "https://api.virgilsecurity.com"
        verifier = VirgilCardVerifier(card_crypto, verify_virgil_signature=virgil)
        self.cards = CardManager(card_crypto, self.tokens, verifier, api_url=VIRGIL_URL)

        self.key_file = Path(f"{self.me}.key")
        self.next_key_file = Path(f"{self.me}.next.key")  # while it is published
        published = self.cards.search_card(self.me)
        self.keys = None
        for file in (self.key_file, self.next_key_file):
            if file.exists() and file.stat().st_size > 0:
                keys = self.crypto.import_private_key(file.read_bytes())
                if not published or keys.public_key.identifier == published[0].public_key.identifier:
                    self.keys = keys
        if not self.keys:
            if published:
                raise RuntimeError(f"The published key is not here: bring {self.key_file} from the device that has it. This SDK has no backups.")
            self.keys = self.crypto.generate_key_pair()
        self.store(self.key_file)
        if not published:
            self.cards.publish_card(self.keys.private_key, self.keys.public_key, self.me)

    def send(self, reader, text):
        """Encrypts for the reader and for oneself, signed inside as E3Kit signs, and saves. Returns the message's objectId."""
        data = text.encode()
        me = self.keys.private_key
        cipher, padding = RecipientCipher(), RandomPadding()
        cipher.set_random(self.crypto.rng)
        cipher.set_encryption_cipher(Aes256Gcm())
        padding.set_random(self.crypto.rng)
        cipher.set_encryption_padding(padding)
        cipher.set_signer_hash(Sha512())
        cipher.add_signer(me.identifier, me.private_key)
        for key in (self.keys.public_key, self.card(reader).public_key):
            cipher.add_key_recipient(key.identifier, key.public_key)
        cipher.start_signed_encryption(len(data))
        envelope = cipher.pack_message_info() + cipher.process_encryption(data) + cipher.finish_encryption()
        return self.save(reader, b64encode(envelope + cipher.pack_message_info_footer()).decode())

    def save(self, reader, body):
        """Without an ACL the message would be the sender's alone."""
        acl = {reader: {"read": True}, self.me: {"read": True, "write": True}}
        return self.parse("POST", "/classes/Message", {"body": body, "senderId": self.me, "ACL": acl})["objectId"]

    def read(self):
        """What this user may read, decrypted, the oldest first."""
        for message in self.parse("GET", "/classes/Message?order=createdAt&limit=1000")["results"]:
            try:
                yield self.decrypt(message["body"], self.card(message["senderId"]))
            except Exception:  # for a key from before, or not signed by its sender
                yield "[cannot be opened]"

    def decrypt(self, body, sender):
        me = self.keys.private_key
        cipher = RecipientCipher()
        cipher.start_decryption_with_key(me.identifier, me.private_key, bytearray())
        data = cipher.process_decryption(b64decode(body)) + cipher.finish_decryption()
        signatures = cipher.signer_infos() if cipher.is_data_signed() else None
        if not (signatures and signatures.has_item()):  # without one, item() ends the process
            raise RuntimeError("The message is not signed.")
        signature = signatures.item()
        while sender:  # today's key, or one from before
            key = sender.public_key
            if signature.signer_id() == key.identifier and cipher.verify_signer_info(signature, key.public_key):
                return data.decode()
            sender = sender.previous_card
        raise RuntimeError("The message is not signed by its sender.")

    def rotate(self):
        """A new key in the place of the old one. What was encrypted for that can be read no more."""
        self.keys = self.crypto.generate_key_pair()
        self.store(self.next_key_file)  # where the program is killed in between, the next start finds it there
        self.cards.publish_card(self.keys.private_key, self.keys.public_key, self.me, self.card(self.me).id)
        self.store(self.key_file)
        self.next_key_file.unlink()

    def revoke(self):
        """Takes the user out of the directory: nobody can encrypt for them any more. The SDK has no call for it."""
        headers = {"Authorization": f"Virgil {self.tokens.get_token(TokenContext(self.me, 'revoke'))}"}
        call("POST", f"{VIRGIL_URL}/card/v5/actions/revoke/{self.card(self.me).id}", headers, {})
        self.key_file.unlink()

    def card(self, identity):
        cards = self.cards.search_card(identity)
        if not cards:
            raise RuntimeError(f"{identity} has no card: that user has not registered yet.")
        return cards[0]

    def store(self, file):
        """Keeps the private key on this device, for this account of it alone."""
        file.touch(0o600)
        file.write_bytes(self.crypto.export_private_key(self.keys.private_key))

    def parse(self, method, path, body=None):
        headers = {
            "Content-Type": "application/json",
            "X-Parse-Application-Id": PARSE_APP_ID,
            "X-Parse-REST-API-Key": PARSE_REST_KEY,
            "X-Parse-Revocable-Session": "1",
        }
        if self.session:
            headers["X-Parse-Session-Token"] = self.session
        return call(method, PARSE_URL + path, headers, body)


def call(method, url, headers, body):
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, headers, method=method)) as response:
            return json.load(response)
    except HTTPError as error:
        raise RuntimeError(error.read().decode()) from None


if __name__ == "__main__":
    chat = Chat(os.environ["CHAT_USER"], os.environ["CHAT_PASSWORD"])
    command, *arguments = sys.argv[1:] or ["whoami"]
    if command == "send":
        print(chat.send(*arguments))
    elif command == "send-plain":
        print(chat.save(*arguments))  # is refused
    elif command == "read":
        print(*chat.read(), sep="\n")
    elif command == "rotate":
        chat.rotate()
    elif command == "revoke":
        chat.revoke()
    else:
        print(chat.me)
