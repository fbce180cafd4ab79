import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;

/**
 * Users for Tacet in Java, nothing but the JDK.
 *
 * <pre>
 * openssl rand -hex 32 > secret
 * SECRET_FILE=secret java Users.java
 * tacet serve --users-url http://127.0.0.1:9100 --users-secret-file secret
 * </pre>
 *
 * Replace the map by your own table, and the two methods for JSON by your library; the two calls of Tacet are
 * authenticate and getUser. Whatever goes wrong must not look like "no such user": an exception is answered 500,
 * which signs nobody out.
 */
public class Users {
    record User(String id, String username, String name, String role, long version, byte[] salt, byte[] hash) {
        User with(String role) {
            return new User(id, username, name, role, version + 1, salt, hash);
        }
    }

    record Answer(int status, String body) {
        Answer(int status) {
            this(status, "");
        }
    }

    static final Map<String, String> PERMISSIONS = Map.of("viewer", "orders:read", "clerk", "orders:*");
    static final HttpClient HTTP = HttpClient.newHttpClient();

    final Map<String, User> users = new ConcurrentHashMap<>();
    final User nobody = newUser("", "", "", "viewer"); // so that unknown names take as long as known ones
    final String tacet = System.getenv().getOrDefault("TACET_URL", "http://127.0.0.1:8080");
    final String secret = Files.readString(Path.of(System.getenv("SECRET_FILE"))).strip();

    Users() throws IOException, GeneralSecurityException {
        for (User u : new User[] {newUser("7", "ada", "Ada Lovelace", "viewer"), newUser("8", "grace", "Grace Hopper", "viewer")}) {
            users.put(u.id, u);
        }
    }

    Answer authenticate(Map<String, String> body) throws GeneralSecurityException {
        User user = users.values().stream().filter(u -> u.username.equals(body.get("username"))).findAny().orElse(nobody);
        boolean right = MessageDigest.isEqual(hashed(body.get("password"), user.salt), user.hash);
        return right && user != nobody ? new Answer(200, shown(user)) : new Answer(403);
    }

    Answer getUser(String id) {
        User user = users.get(id);
        return user == null ? new Answer(404) : new Answer(200, shown(user));
    }

    static String shown(User u) {
        return "{\"id\":%s,\"username\":%s,\"display_name\":%s,\"roles\":[%s],\"permissions\":[%s],\"grants_version\":%d,\"settings\":{}}"
                .formatted(quoted(u.id), quoted(u.username), quoted(u.name), quoted(u.role), quoted(PERMISSIONS.get(u.role)), u.version);
    }

    Answer setRole(String id, String role) throws Exception {
        User user = PERMISSIONS.containsKey(role) ? users.computeIfPresent(id, (k, u) -> u.with(role)) : null;
        if (user == null) {
            return new Answer(404);
        }
        grantsChanged(id, user.version);
        return new Answer(204);
    }

    Answer remove(String id) throws Exception {
        User user = users.remove(id);
        if (user == null) {
            return new Answer(404);
        }
        grantsChanged(id, user.version + 1); // the next refresh asks, and finds nobody
        return new Answer(204);
    }

    /** Tells Tacet, after the change is stored. */
    void grantsChanged(String id, long version) throws Exception {
        String path = "/auth/admin/users/" + URLEncoder.encode(id, StandardCharsets.UTF_8).replace("+", "%20") + "/grants-changed";
        int status = HTTP.send(HttpRequest.newBuilder(URI.create(tacet + path)).timeout(Duration.ofSeconds(5))
                .header("Authorization", "Bearer " + secret).header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\"grants_version\":" + version + "}")).build(), BodyHandlers.discarding()).statusCode();
        if (status != 204) {
            throw new IOException("grants-changed was answered " + status);
        }
    }

    Answer answer(HttpExchange call) throws Exception {
        Map<String, String> body = members(new String(call.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
        String given = call.getRequestHeaders().getFirst("Authorization");
        if (given == null || !MessageDigest.isEqual(given.getBytes(), ("Bearer " + secret).getBytes())) {
            return new Answer(401);
        }
        String[] path = call.getRequestURI().getRawPath().split("/");
        String id = path.length > 2 ? URLDecoder.decode(path[2].replace("+", "%2B"), StandardCharsets.UTF_8) : "";
        return switch (call.getRequestMethod() + " " + path[1] + (path.length > 3 ? "/" + path[3] : "")) {
            case "POST authenticate" -> authenticate(body);
            case "GET users" -> getUser(id);
            case "PUT users/role" -> setRole(id, body.get("role")); // yours, for the example
            case "DELETE users" -> remove(id);
            default -> new Answer(400);
        };
    }

    void handle(HttpExchange call) throws IOException {
        Answer answer = new Answer(500); // an outage, never "no such user"
        try {
            answer = answer(call);
        } catch (Exception e) {
            e.printStackTrace();
        }
        byte[] body = answer.body.getBytes(StandardCharsets.UTF_8);
        call.getResponseHeaders().set("Content-Type", "application/json");
        call.sendResponseHeaders(answer.status, body.length == 0 ? -1 : body.length);
        call.getResponseBody().write(body);
        call.close();
    }

    static User newUser(String id, String username, String name, String role) throws GeneralSecurityException {
        byte[] salt = new byte[16];
        new SecureRandom().nextBytes(salt);
        return new User(id, username, name, role, 1, salt, hashed(username + "-password", salt));
    }

    static byte[] hashed(String password, byte[] salt) throws GeneralSecurityException {
        PBEKeySpec spec = new PBEKeySpec(password.toCharArray(), salt, 210_000, 256);
        return SecretKeyFactory.getInstance("PBKDF2WithHmacSHA512").generateSecret(spec).getEncoded();
    }

    static final Pattern MEMBER = Pattern.compile("\"((?:[^\"\\\\]|\\\\.)*)\"\\s*:\\s*\"((?:[^\"\\\\]|\\\\.)*)\"");

    /** The members of a JSON object whose values are all strings. */
    static Map<String, String> members(String json) {
        Map<String, String> members = new HashMap<>();
        MEMBER.matcher(json).results().forEach(m -> members.put(text(m.group(1)), text(m.group(2))));
        return members;
    }

    static String text(String escaped) {
        return Pattern.compile("\\\\(?:u([0-9a-fA-F]{4})|(.))").matcher(escaped).replaceAll(m -> {
            String text = m.group(1) != null ? String.valueOf((char) Integer.parseInt(m.group(1), 16))
                    : switch (m.group(2)) { case "n" -> "\n"; case "t" -> "\t"; case "r" -> "\r"; case "b" -> "\b"; case "f" -> "\f"; default -> m.group(2); };
            return java.util.regex.Matcher.quoteReplacement(text);
        });
    }

    static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"'; // the users here have no control characters
    }

    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "9100"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", new Users()::handle);
        server.start();
        System.out.println("listening on http://127.0.0.1:" + server.getAddress().getPort());
    }
}
