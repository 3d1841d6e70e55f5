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
    private static final Pattern PLACEHOLDER = Pattern.compile("\\{([a-z][a-z.-]*)\\}");

    private final Map<String, List<String>> sections = new HashMap<>();
    private final Map<String, String> values;
    private final List<Process> children = new ArrayList<>();
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
        List<String> section = new ArrayList<>();
        for (String line : script.lines().map(String::strip).toList()) {
            if (line.startsWith("[") && line.endsWith("]")) {
                section = sections.computeIfAbsent(line.substring(1, line.length() - 1), name -> new ArrayList<>());
            } else if (!line.isEmpty() && !line.startsWith("#")) {
                section.add(line);
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
        return start + ",\"path\":\"" + escape(failedPath) + "\",\"error\":\"" + escape(failure) + "\"}";
    }

    /** What its pages show. */
    public String page() {
        return fill(String.join("\n", section("page")), requests.get());
    }

    public void start() {
        run("start");
        if (failure == null) {
            run("ready");
        }
        if (failure == null) {
            state = "RUNNING";
        }
    }

    /** What answering a page, or the next beat of something that serves no pages, writes. */
    public void everyRequest() {
        if (state.equals("RUNNING")) {
            requests.incrementAndGet();
            run("request");
        }
    }

    public void stop() {
        if (state.equals("RUNNING")) {
            run("stop");
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

    private void run(String name) {
        int number = requests.get();
        for (String line : section(name)) {
            try {
                step(line, number);
            } catch (RuntimeException error) {
                fail(Path.of(values.getOrDefault("home", "/")), new IOException(line, error));
            }
        }
    }

    private void step(String line, int number) {
        String[] parts = line.split(" ", 2);
        String rest = parts.length > 1 ? parts[1] : "";
        String[] words = fill(rest, number).split(" ");
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
            case "append" -> append(rest, number);
            case "run" -> attempt(path(words[0]), path -> children.add(child(words)));
            case "listen" -> attempt(Path.of("port", words[1]), path -> listen(words));
            case "http" -> attempt(Path.of("port", words[1]), path -> answer(words));
            case "beat" -> beat(words);
            default -> throw new IllegalArgumentException("no such step");
        }
    }

    /** Fill in placeholders; a name nobody has set stays as it is, as braces also occur in JSON. */
    private String fill(String text, int number) {
        ZonedDateTime now = ZonedDateTime.now();
        Map<String, String> known = new HashMap<>(values);
        known.put("state", state);
        known.put("stamp", STAMP.format(now));
        known.put("zone", ZONE.format(now));
        known.put("day", DAY.format(now));
        known.put("second", Long.toString(now.toEpochSecond()));
        known.put("nano", Integer.toString(now.getNano()));
        known.put("thread", Thread.currentThread().getName());
        known.put("request", (now.getHour() * 60 + now.getMinute()) + "x" + number + "x1");
        known.put("session", Integer.toString(1_000_000_000 + number, 36));
        known.put("name", Long.toString(System.currentTimeMillis(), 36) + number);
        return PLACEHOLDER.matcher(text)
            .replaceAll(match -> Matcher.quoteReplacement(known.getOrDefault(match.group(1), match.group())));
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

    private void append(String rest, int number) {
        String[] parts = rest.split(" ", 2);
        String text = parts.length > 1 ? fill(parts[1], number).replace("\\n", "\n") + "\n" : "";
        attempt(path(fill(parts[0], number)), path -> Files.write(path, text.getBytes(StandardCharsets.UTF_8),
            StandardOpenOption.CREATE, StandardOpenOption.APPEND));
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
            everyRequest();
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
                    everyRequest();
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

    private static String escape(String text) {
        StringBuilder out = new StringBuilder();
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(' ');
            } else {
                out.append(c);
            }
        }
        return out.toString();
    }
}
