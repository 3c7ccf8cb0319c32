import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.virgilsecurity.keyknox.KeyknoxManager;
import com.virgilsecurity.keyknox.client.KeyknoxClient;
import com.virgilsecurity.keyknox.client.KeyknoxPullParams;
import com.virgilsecurity.keyknox.client.KeyknoxPushParams;
import com.virgilsecurity.keyknox.model.DecryptedKeyknoxValue;
import com.virgilsecurity.sdk.cards.Card;
import com.virgilsecurity.sdk.cards.CardManager;
import com.virgilsecurity.sdk.cards.validation.VirgilCardVerifier;
import com.virgilsecurity.sdk.client.VirgilCardClient;
import com.virgilsecurity.sdk.crypto.VirgilCardCrypto;
import com.virgilsecurity.sdk.crypto.VirgilCrypto;
import com.virgilsecurity.sdk.crypto.VirgilKeyPair;
import com.virgilsecurity.sdk.crypto.VirgilPublicKey;
import com.virgilsecurity.sdk.jwt.Jwt;
import com.virgilsecurity.sdk.jwt.accessProviders.CachingJwtProvider;
import com.virgilsecurity.sdk.jwt.contract.AccessTokenProvider;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** End-to-end encrypted messages from Java: E3Kit reads what this sends, and the other way round. How to run it: docs/clients.md. */
public class Chat {
    // Those of `npm start`. Back4App's: https://parseapi.back4app.com, and both keys of your app; https://api.virgilsecurity.com.
    static final String PARSE_URL = setting("PARSE_URL", "http://127.0.0.1:1337/parse");
    static final String PARSE_APP_ID = setting("PARSE_APP_ID", "e2ee-local");
    static final String PARSE_REST_KEY = setting("PARSE_REST_KEY", "none");
    static final String VIRGIL_URL = setting("VIRGIL_API_URL", "http://127.0.0.1:1337/virgil");

    final HttpClient http = HttpClient.newHttpClient();
    final Gson gson = new Gson();
    final VirgilCrypto crypto = new VirgilCrypto();
    final String session;
    final String me;
    final CardManager cards;
    final KeyknoxManager keyknox;
    final VirgilKeyPair backupKeys;
    VirgilKeyPair keys;

    /**
     * Logs in, or signs up, and has the user's keys ready.
     *
     * @param backupKey 32 random bytes or more, in base64, that only this user has: `openssl rand -base64 32`
     */
    Chat(String username, String password, String backupKey) throws Exception {
        Map<String, String> user = Map.of("username", username, "password", password);
        JsonObject account;
        try {
            account = parse("POST", "/login", user);
        } catch (IOException noSuchUser) {
            account = parse("POST", "/users", user);
        }
        session = account.get("sessionToken").getAsString();
        me = account.get("objectId").getAsString();

        // Asks for a token when there is none yet, or when it has expired.
        AccessTokenProvider tokens = new CachingJwtProvider(context -> {
            try {
                JsonObject answer = parse("POST", "/functions/virgil-jwt", Map.of());
                return new Jwt(answer.getAsJsonObject("result").get("token").getAsString());
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        });
        VirgilCardCrypto cardCrypto = new VirgilCardCrypto(crypto);
        // Self-signatures are checked; Virgil's own only where the cards are Virgil's.
        boolean virgil = VIRGIL_URL.equals("https://api.virgilsecurity.com");
        VirgilCardVerifier verifier = new VirgilCardVerifier(cardCrypto, true, virgil);
        cards = new CardManager(cardCrypto, tokens, verifier, new VirgilCardClient(VIRGIL_URL + "/card/v5/"));
        keyknox = new KeyknoxManager(new KeyknoxClient(tokens, new URL(VIRGIL_URL + "/")));
        backupKeys = crypto.generateKeyPair(Base64.getDecoder().decode(backupKey));

        // Stored on the device, then backed up, then published: this completes what an interrupted start has left out.
        Card published = cards.searchCards(me).stream().findFirst().orElse(null);
        byte[] backedUp = backup().getValue();
        byte[] onDevice = Files.exists(keyFile()) ? Files.readAllBytes(keyFile()) : new byte[0];
        for (byte[] privateKey : List.of(onDevice, backedUp)) { // the backup's on another device, and where the key was changed there
            if (keys == null && privateKey.length > 0 && isPublished(privateKey, published)) {
                keys = crypto.importPrivateKey(privateKey);
            }
        }
        if (keys == null) {
            if (published != null) throw new IOException("The published key is neither on this device nor in the backup.");
            keys = crypto.generateKeyPair();
        }
        store();
        if (!Arrays.equals(backedUp, crypto.exportPrivateKey(keys.getPrivateKey()))) backUp();
        if (published == null) cards.publishCard(keys.getPrivateKey(), keys.getPublicKey(), me);
    }

    /** Whether a private key is that of the published card. Where none is published, any will do. */
    boolean isPublished(byte[] privateKey, Card published) throws Exception {
        if (published == null) return true;
        byte[] id = crypto.importPrivateKey(privateKey).getPublicKey().getIdentifier();
        return Arrays.equals(id, ((VirgilPublicKey) published.getPublicKey()).getIdentifier());
    }

    /** Encrypts for the reader and for oneself, and saves. Returns the message's objectId. */
    String send(String reader, String text) throws Exception {
        List<VirgilPublicKey> readers = List.of(keys.getPublicKey(), card(reader).getPublicKey());
        byte[] envelope = crypto.authEncrypt(text.getBytes(UTF_8), keys.getPrivateKey(), readers, true);
        return save(reader, Base64.getEncoder().encodeToString(envelope));
    }

    /** Without an ACL the message would be the sender's alone. */
    String save(String reader, String body) throws Exception {
        Map<String, Object> acl = Map.of(me, Map.of("read", true, "write", true), reader, Map.of("read", true));
        Map<String, Object> message = Map.of("body", body, "senderId", me, "ACL", acl);
        return parse("POST", "/classes/Message", message).get("objectId").getAsString();
    }

    /** What this user may read, decrypted, the oldest first. */
    List<String> read() throws Exception {
        List<String> texts = new ArrayList<>();
        JsonObject messages = parse("GET", "/classes/Message?order=createdAt&limit=1000", null);
        for (JsonElement message : messages.getAsJsonArray("results")) {
            try {
                texts.add(decrypt(message.getAsJsonObject()));
            } catch (Exception error) { // for a key from before, or not signed by its sender
                texts.add("[cannot be opened]");
            }
        }
        return texts;
    }

    String decrypt(JsonObject message) throws Exception {
        List<VirgilPublicKey> sendersKeys = new ArrayList<>(); // today's, and those from before
        Card card = card(message.get("senderId").getAsString());
        for (; card != null; card = card.getPreviousCard()) sendersKeys.add(card.getPublicKey());
        byte[] envelope = Base64.getDecoder().decode(message.get("body").getAsString());
        return new String(crypto.authDecrypt(envelope, keys.getPrivateKey(), sendersKeys), UTF_8);
    }

    /** A new key in the place of the old one. What was encrypted for that can be read no more. */
    void rotate() throws Exception {
        keys = crypto.generateKeyPair();
        backUp(); // before anybody writes to it: where the program is killed in between, the next start finds it there
        cards.publishCard(keys.getPrivateKey(), keys.getPublicKey(), me, card(me).getIdentifier());
        store();
    }

    /** Takes the user out of the directory: nobody can encrypt for them any more. */
    void revoke() throws Exception {
        cards.revokeCard(card(me).getIdentifier());
        Files.delete(keyFile());
    }

    Card card(String identity) throws Exception {
        return cards.searchCards(identity).stream().findFirst()
            .orElseThrow(() -> new IOException(identity + " has no card: that user has not registered yet."));
    }

    Path keyFile() {
        return Path.of(me + ".key");
    }

    /** Keeps the private key on this device, for this account of it alone. */
    void store() throws Exception {
        File file = keyFile().toFile();
        file.createNewFile();
        file.setReadable(false, false);
        file.setReadable(true, true);
        Files.write(keyFile(), crypto.exportPrivateKey(keys.getPrivateKey()));
    }

    void backUp() throws Exception {
        KeyknoxPushParams place = new KeyknoxPushParams(List.of(me), "e3kit", "backup", "java");
        byte[] privateKey = crypto.exportPrivateKey(keys.getPrivateKey());
        byte[] before = backup().getKeyknoxHash();
        keyknox.pushValue(place, privateKey, before, List.of(backupKeys.getPublicKey()), backupKeys.getPrivateKey());
    }

    DecryptedKeyknoxValue backup() {
        KeyknoxPullParams place = new KeyknoxPullParams(me, "e3kit", "backup", "java");
        return keyknox.pullValue(place, List.of(backupKeys.getPublicKey()), backupKeys.getPrivateKey());
    }

    /** Calls Parse Server. An error's message is Parse's code and sentence. */
    JsonObject parse(String method, String path, Object body) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(PARSE_URL + path))
            .header("Content-Type", "application/json")
            .header("X-Parse-Application-Id", PARSE_APP_ID)
            .header("X-Parse-REST-API-Key", PARSE_REST_KEY)
            .header("X-Parse-Revocable-Session", "1")
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(gson.toJson(body)));
        if (session != null) request.header("X-Parse-Session-Token", session);
        HttpResponse<String> response = http.send(request.build(), BodyHandlers.ofString());
        JsonObject answer = gson.fromJson(response.body(), JsonObject.class);
        if (response.statusCode() < 400) return answer;
        throw new IOException(answer.get("code") + " " + answer.get("error").getAsString());
    }

    static String setting(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }

    public static void main(String[] arguments) throws Exception {
        Chat chat = new Chat(System.getenv("CHAT_USER"), System.getenv("CHAT_PASSWORD"), System.getenv("BACKUP_KEY"));
        switch (arguments[0]) {
            case "send" -> System.out.println(chat.send(arguments[1], arguments[2]));
            case "send-plain" -> System.out.println(chat.save(arguments[1], arguments[2])); // is refused
            case "read" -> chat.read().forEach(System.out::println);
            case "rotate" -> chat.rotate();
            case "revoke" -> chat.revoke();
            default -> System.out.println(chat.me);
        }
    }
}
