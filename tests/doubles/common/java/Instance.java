// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Touches the file system and the network the way a product does, so that wrong permissions or a sandbox that is too
 * tight show. What it does says the product's script, see README.md of the doubles.
 *
 * <p>The first step that fails turns the state to ERROR for good and is told by the status page, with path and exception.
 */
public final class Instance {
    private static final DateTimeFormatter STAMP = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss,SSS", Locale.ROOT);
    private static final DateTimeFormatter ZONE = DateTimeFormatter.ofPattern("Z", Locale.ROOT);
    private static final DateTimeFormatter DAY = DateTimeFormatter.ofPattern("yyyyMMdd", Locale.ROOT);
    private static final Pattern AREA = Pattern.compile("\"area\":\"(\\w+)\"");
    private static final Pattern ACTION = Pattern.compile("\"actionI18nKey\":\"([^\"]+)\"");

    private final Map<String, List<String>> sections = new HashMap<>();
    private final Map<String, String> values;
    private final List<Process> children = new ArrayList<>();
    private final List<Login> logins = new ArrayList<>();
    private final Accounts accounts = new Accounts();
    private final AuditFiles auditFiles = new AuditFiles();
    private Loggers loggers = Loggers.NONE;
    private Rest rest = new Rest(this, List.of(), new Database(Path.of("/nowhere")));
    private final AtomicInteger requests = new AtomicInteger();
    private volatile String state = "STARTING";
    private volatile String failedPath;
    private volatile String failure;
    private Path lockPath;
    private FileChannel lockChannel;
    private FileLock lock;

    /** Some work on one path that must succeed. */
    private interface Work {
        void on(Path path) throws IOException;
    }

    /** Reads the script; `known` are values its placeholders may name beside those every script has. */
    public Instance(String script, Map<String, String> known) {
        values = new HashMap<>(known);
        values.put("tmp", System.getProperty("java.io.tmpdir"));
        List<List<String>> open = List.of();
        for (String line : script.lines().map(String::strip).toList()) {
            if (line.startsWith("[") && line.endsWith("]")) {
                open = Stream.of(line.substring(1, line.length() - 1).split(" "))
                    .map(name -> sections.computeIfAbsent(name, any -> new ArrayList<>())).toList();
            } else if (!line.isEmpty() && !line.startsWith("#")) {
                open.forEach(section -> section.add(line));
            }
        }
    }

    public String state() {
        return state;
    }

    /** The answer of the status page; a product's own has only the state. */
    public String statusAsJson() {
        String start = "{\"" + values.getOrDefault("status-key", "state") + "\":\"" + state + "\"";
        if (failure == null) {
            return start + "}";
        }
        return start + ",\"path\":\"" + Text.json(failedPath) + "\",\"error\":\"" + Text.json(failure) + "\"}";
    }

    /** What its pages show. */
    public String page() {
        return fill(String.join("\n", section("page")), own());
    }

    public void start() {
        run("start", own());
        if (failure == null) {
            run("ready", own());
        }
        if (failure == null) {
            state = "RUNNING";
        }
    }

    /** The next request, with what is known of it beside its number; it has done nothing yet. */
    public Occasion arrival(Map<String, String> facts) {
        Occasion occasion = new Occasion(requests.incrementAndGet(), facts);
        serve("arrival", occasion);
        return occasion;
    }

    /** What answering a page, or the next beat of something that serves no pages, writes. */
    public void everyRequest(Occasion occasion) {
        serve("request", occasion);
    }

    /** Where somebody can log in. */
    public List<Login> logins() {
        return logins;
    }

    /** Somebody tries a name and a password; says how that went and writes what the product writes. */
    public Accounts.Outcome login(Login login, String name, String password, Occasion occasion) {
        Accounts.Outcome outcome = accounts.attempt(name, password);
        occasion.note("user", name);
        occasion.note("account", outcome.account());
        occasion.note("failures", Integer.toString(outcome.failures()));
        serve(outcome.section(), occasion);
        serve(outcome.section() + ":" + login.path(), occasion);
        return outcome;
    }

    /** Somebody whose address may not ask is turned away before any name is looked at. */
    public void refuse(Occasion occasion) {
        serve("refused", occasion);
    }

    /** What programs may ask for. */
    public Rest rest() {
        return rest;
    }

    /** Somebody is known by a token or a session. */
    void recognise(Occasion occasion) {
        serve("recognised", occasion);
    }

    /** Somebody has changed what a table of the database holds. */
    void changed(String table, Occasion occasion) {
        serve("changed", occasion);
        serve("changed:" + table, occasion);
    }

    /** Whether a password is right; a wrong one counts as no failed login. */
    boolean knows(String name, String password) {
        return accounts.holds(name, password);
    }

    /** All entries of the audit log, the oldest first. */
    List<String> auditLines() throws IOException {
        return auditFiles.lines(path("log/audit"));
    }

    /** A text with its placeholders filled in. */
    String filled(String text, Occasion occasion) {
        return fill(text, occasion);
    }

    /** What is written once it is known how a request is answered. */
    public void answered(Occasion occasion, int status) {
        occasion.note("status", Integer.toString(status));
        serve("answer", occasion);
    }

    public void stop() {
        if (state.equals("RUNNING")) {
            run("stop", own());
        }
        for (Process child : children) {
            child.destroy();
            try {
                child.waitFor(10, TimeUnit.SECONDS);
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }
        if (lock != null) {
            attempt(lockPath, path -> {
                lock.release();
                lockChannel.close();
                Files.deleteIfExists(path);
            });
        }
        state = "STOPPING";
    }

    /** Lines of a section, placeholders not yet filled in. */
    private List<String> section(String name) {
        return sections.getOrDefault(name, List.of());
    }

    /** A value of a placeholder: what the script has set or read from a file of properties. */
    public String value(String name) {
        return values.get(name);
    }

    /** What the instance does by itself. */
    private Occasion own() {
        return new Occasion(requests.get(), Map.of());
    }

    /** Nothing is written for requests once something has failed. */
    private void serve(String name, Occasion occasion) {
        if (state.equals("RUNNING")) {
            run(name, occasion);
        }
    }

    private void run(String name, Occasion occasion) {
        for (String line : section(name)) {
            try {
                step(line, occasion);
            } catch (RuntimeException error) {
                fail(Path.of(values.getOrDefault("home", "/")), new IOException(line, error));
            }
        }
    }

    private void step(String line, Occasion occasion) {
        String[] parts = line.split(" ", 2);
        String rest = parts.length > 1 ? parts[1] : "";
        String[] words = fill(rest, occasion).split(" ");
        switch (parts[0]) {
            case "home" -> home(words[0], words.length > 1 ? path(words[1]) : null);
            case "version" -> values.put("version", read(path(words[0]), words[1]));
            case "set" -> values.put(words[0], configured(words[0], words[1]));
            case "properties" -> attempt(path(words[0]), this::properties);
            case "lock" -> attempt(path(words[0]), this::takeLock);
            case "folders" -> each(words, Files::createDirectories);
            case "read" -> each(words, this::readAll);
            case "map" -> each(words, Instance::writeMapped);
            case "writable" -> each(words, Instance::mustBeWritable);
            case "executable" -> each(words, Instance::mustBeExecutable);
            case "scratch" -> each(words, Instance::writeAndRemove);
            case "copy" -> copy(path(words[0]), path(words[1]));
            case "append" -> append(rest, occasion);
            case "run" -> attempt(path(words[0]), path -> children.add(child(words)));
            case "listen" -> attempt(Path.of("port", words[1]), path -> listen(words));
            case "http" -> attempt(Path.of("port", words[1]), path -> answer(words));
            case "beat" -> beat(words);
            case "database" -> this.rest = new Rest(this, section("rest"), new Database(path(words[0])));
            case "account" -> accounts.add(words[0], words[1]);
            case "patience" -> accounts.bearFailures(Integer.parseInt(words[0]), words[1].equals("known"));
            case "login" -> logins.add(Login.of(words));
            case "context" -> occasion.context(words[0], text(after(rest, 1), occasion));
            case "header" -> occasion.header(words[0], fill(after(rest, 1), occasion));
            case "with" -> only(occasion.knows(words[0]), rest, occasion);
            case "without" -> only(!occasion.knows(words[0]), rest, occasion);
            case "loggers" -> attempt(path(words[0]), path -> loggers = Loggers.read(path, path(words[1])));
            case "log" -> log(words[0], words[1], text(after(rest, 2), occasion), occasion);
            case "audit" -> audit(words[0], text(after(rest, 1), occasion));
            default -> throw new IllegalArgumentException("no such step");
        }
    }

    /** Fill in placeholders. */
    private String fill(String text, Occasion occasion) {
        ZonedDateTime now = ZonedDateTime.now();
        Map<String, String> known = new HashMap<>(values);
        known.put("state", state);
        known.put("stamp", STAMP.format(now));
        known.put("zone", ZONE.format(now));
        known.put("day", DAY.format(now));
        known.put("second", Long.toString(now.toEpochSecond()));
        known.put("nano", Integer.toString(now.getNano()));
        known.put("thread", Thread.currentThread().getName());
        known.put("name", Long.toString(System.currentTimeMillis(), 36) + occasion.number());
        known.putAll(occasion.facts());
        return Text.fill(text, known::get);
    }

    /** A text of the script with its line breaks; those that somebody sent stay apart from them. */
    private String text(String text, Occasion occasion) {
        return fill(text.replace("\\n", "\n"), occasion);
    }

    /** What is left of a line after some words. */
    private static String after(String line, int words) {
        String[] parts = line.split(" ", words + 1);
        return parts.length > words ? parts[words] : "";
    }

    private void only(boolean holds, String rest, Occasion occasion) {
        if (holds) {
            step(after(rest, 1), occasion);
        }
    }

    private Path path(String word) {
        return word.startsWith("/") ? Path.of(word) : Path.of(values.getOrDefault("home", "/")).resolve(word);
    }

    private void each(String[] words, Work work) {
        for (String word : words) {
            attempt(path(word), work);
        }
    }

    /** What the command line or the environment says. */
    private static String configured(String name, String otherwise) {
        return System.getProperty(name, System.getenv().getOrDefault(name, otherwise));
    }

    private Process child(String[] words) throws IOException {
        return new ProcessBuilder(words).directory(path("").toFile()).inheritIO().start();
    }

    private void home(String property, Path file) {
        String configured = System.getProperty(property);
        if (configured == null && file != null) {
            configured = read(file, property);
        }
        if (configured == null || configured.isBlank()) {
            fail(file == null ? Path.of("/") : file, new IOException(property + " is not set"));
            return;
        }
        values.put("home", configured.trim());
    }

    private void properties(Path file) throws IOException {
        Properties properties = new Properties();
        try (InputStream in = Files.newInputStream(file)) {
            properties.load(in);
        }
        properties.stringPropertyNames().forEach(name -> values.put(name, properties.getProperty(name)));
    }

    private void takeLock(Path path) throws IOException {
        lockPath = path;
        lockChannel = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        lock = lockChannel.tryLock();
        if (lock == null) {
            throw new IOException("another instance uses this home");
        }
    }

    private void readAll(Path path) throws IOException {
        if (!Files.isDirectory(path)) {
            Files.readAllBytes(path);
            return;
        }
        try (Stream<Path> files = Files.list(path)) {
            for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
                attempt(file, Files::readAllBytes);
            }
        }
    }

    private void copy(Path from, Path to) {
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : (Iterable<Path>) files.sorted()::iterator) {
                attempt(to.resolve(file.getFileName()), path -> Files.copy(file, path, StandardCopyOption.REPLACE_EXISTING));
            }
        } catch (IOException error) {
            fail(from, error);
        }
    }

    private void append(String rest, Occasion occasion) {
        String[] parts = rest.split(" ", 2);
        String text = parts.length > 1 ? text(parts[1], occasion) + "\n" : "";
        attempt(path(fill(parts[0], occasion)), path -> write(path, text));
    }

    /** Write at the end of a file, all at once so that two requests do not mix. */
    private static void write(Path path, String text) throws IOException {
        Files.write(path, text.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    /** Write to the files that the settings of the loggers send a message to, at the first of some levels that is on. */
    private void log(String name, String levels, String message, Occasion occasion) {
        String[] place = name.split("#");
        Stream.of(levels.split("\\|")).filter(level -> loggers.isEnabled(place[0], level)).findFirst().ifPresent(level -> {
            String method = place.length > 1 ? place[1] : "";
            Loggers.Event event = new Loggers.Event(place[0], method, level, thread(occasion), message, occasion.facts());
            loggers.written(event).forEach((file, text) -> attempt(file, path -> write(path, text)));
        });
    }

    /** The thread's name; some products put into it what it is asked for. */
    private String thread(Occasion occasion) {
        String name = Thread.currentThread().getName();
        boolean decorated = values.getOrDefault("thread.url", "").equalsIgnoreCase("true") && occasion.knows("uri");
        return decorated ? name + " url: " + occasion.facts().get("uri") : name;
    }

    /** An entry of the audit log, if its area is covered at that level, and its action not excluded. */
    private void audit(String level, String entry) {
        attempt(path("log/audit"), folder -> {
            if (level.equals("always") || AuditFiles.covers(rest.coverage(found(AREA, entry)), level)
                    && !rest.isExcluded(found(ACTION, entry))) {
                auditFiles.write(folder, entry + "\n", Long.parseLong(values.getOrDefault("audit.bytes", "104857600")),
                    Integer.parseInt(values.getOrDefault("audit.files", "100")));
            }
        });
    }

    private static String found(Pattern pattern, String text) {
        Matcher matcher = pattern.matcher(text);
        return matcher.find() ? matcher.group(1) : "";
    }

    private static void writeAndRemove(Path path) throws IOException {
        Files.write(path, new byte[] {1, 2, 3});
        Files.delete(path);
    }

    private static void writeMapped(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ,
                StandardOpenOption.WRITE)) {
            MappedByteBuffer buffer = channel.map(FileChannel.MapMode.READ_WRITE, 0, 4096);
            buffer.putLong(0, System.currentTimeMillis());
            buffer.force();
        }
    }

    private static void mustBeWritable(Path path) throws IOException {
        if (!Files.isDirectory(path) || !Files.isWritable(path)) {
            throw new IOException("not a folder this process may write");
        }
    }

    private static void mustBeExecutable(Path path) throws IOException {
        if (!Files.isExecutable(path)) {
            throw new IOException("not a file this process may execute");
        }
    }

    /** Accepts connections and says something, or nothing, to whoever connects. */
    private void listen(String[] words) throws IOException {
        ServerSocket socket = new ServerSocket(Integer.parseInt(words[1]), 50, InetAddress.getByName(words[0]));
        daemon("listen-" + words[1], () -> {
            while (true) {
                try (Socket peer = socket.accept()) {
                    peer.getOutputStream().write((words.length > 2 ? words[2] + "\r\n" : "").getBytes(StandardCharsets.UTF_8));
                } catch (IOException error) {
                    // Whoever connected has gone; the next one is served.
                }
            }
        });
    }

    /** One page of something that is no servlet container. */
    private void answer(String[] words) throws IOException {
        InetSocketAddress address = new InetSocketAddress(InetAddress.getByName(words[0]), Integer.parseInt(words[1]));
        HttpServer server = HttpServer.create(address, 0);
        server.createContext(words[2], exchange -> {
            everyRequest(arrival(Map.of()));
            byte[] body = (state.equals("RUNNING") ? words[3] : statusAsJson()).getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(state.equals("RUNNING") ? 200 : 500, body.length);
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(body);
            }
        });
        daemon("http-" + words[1], server::start);
    }

    /** Every so many seconds a connection to a server, which may be away, and what a request writes. */
    private void beat(String[] words) {
        daemon("beat", () -> {
            while (true) {
                try (Socket server = new Socket()) {
                    server.connect(new InetSocketAddress(words[0], Integer.parseInt(words[1])), 2000);
                    everyRequest(arrival(Map.of()));
                    Thread.sleep(1000L * Integer.parseInt(words[2]));
                } catch (IOException error) {
                    pause();
                } catch (InterruptedException error) {
                    return;
                }
            }
        });
    }

    private static void pause() {
        try {
            Thread.sleep(1000);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private static void daemon(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    private void attempt(Path path, Work work) {
        try {
            work.on(path);
        } catch (IOException | RuntimeException error) {
            fail(path, error);
        }
    }

    /** Keep the first failure: later ones mostly follow from it. */
    private synchronized void fail(Path path, Exception error) {
        System.err.println("@TITLE@ cannot run: " + path + ": " + error);
        if (failure == null) {
            failedPath = path.toString();
            failure = error.toString();
        }
        state = "ERROR";
    }

    private static String read(Path file, String key) {
        Properties properties = new Properties();
        try (InputStream in = Files.newInputStream(file)) {
            properties.load(in);
        } catch (IOException error) {
            return null;
        }
        return properties.getProperty(key);
    }
}
