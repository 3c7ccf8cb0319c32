import com.virgilsecurity.sdk.crypto.VirgilAccessTokenSigner;
import com.virgilsecurity.sdk.crypto.VirgilCrypto;
import com.virgilsecurity.sdk.jwt.Jwt;
import com.virgilsecurity.sdk.jwt.JwtVerifier;
import java.util.Base64;

/** What the SDK's own verifier says of a token. Arguments: the App Key's public half in base64, its ID, the token. */
public class CheckToken {
    public static void main(String[] arguments) throws Exception {
        VirgilCrypto crypto = new VirgilCrypto();
        JwtVerifier verifier = new JwtVerifier(
            crypto.importPublicKey(Base64.getDecoder().decode(arguments[0])),
            arguments[1],
            new VirgilAccessTokenSigner(crypto));
        System.out.println(verifier.verifyToken(new Jwt(arguments[2])));
    }
}
