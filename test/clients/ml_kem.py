"""Encrypts a text for a new key as E3Kit for Kotlin makes them under CURVE25519_ROUND5_ED25519_FALCON, and prints the envelope."""

from base64 import b64encode

from virgil_crypto import VirgilCrypto
from virgil_crypto_lib.foundation import Aes256Gcm, AlgId, KeyProvider, RandomPadding, RecipientCipher, Sha512

crypto = VirgilCrypto()
provider = KeyProvider()
provider.set_random(crypto.rng)
provider.setup_defaults()
key = provider.generate_compound_hybrid_private_key(AlgId.CURVE25519, AlgId.ML_KEM_768, AlgId.ED25519, AlgId.FALCON)
public_key = key.extract_public_key()
key_id = crypto.compute_public_key_identifier(public_key)

text = b"Hello, quantum!"
cipher, padding = RecipientCipher(), RandomPadding()
cipher.set_random(crypto.rng)
cipher.set_encryption_cipher(Aes256Gcm())
padding.set_random(crypto.rng)
cipher.set_encryption_padding(padding)
cipher.set_signer_hash(Sha512())
cipher.add_signer(key_id, key)
cipher.add_key_recipient(key_id, public_key)
cipher.start_signed_encryption(len(text))
envelope = cipher.pack_message_info() + cipher.process_encryption(text) + cipher.finish_encryption()
print(b64encode(envelope + cipher.pack_message_info_footer()).decode())
