"""What the SDK's own verifier says of a token. Arguments: the App Key's public half in base64, its ID, the token."""

import sys
from base64 import b64decode

from virgil_crypto import VirgilCrypto
from virgil_crypto.access_token_signer import AccessTokenSigner
from virgil_sdk.jwt import Jwt, JwtVerifier

public_key, key_id, token = sys.argv[1:]
crypto = VirgilCrypto()
verifier = JwtVerifier(AccessTokenSigner(crypto), crypto.import_public_key(b64decode(public_key)), key_id)
print(str(verifier.verify_token(Jwt.from_string(token))).lower())
