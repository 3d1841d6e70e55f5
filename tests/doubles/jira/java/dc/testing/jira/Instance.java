// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.jira;

import jakarta.servlet.ServletContext;
import jakarta.servlet.ServletContextEvent;
import jakarta.servlet.ServletContextListener;
import java.io.IOException;
import java.io.InputStream;
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
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * Touches the file system the way Jira does, so that wrong permissions or a sandbox that is too tight show.
 *
 * <p>The first write that fails turns the state to ERROR for good and is told by /status, with path and exception.
 */
public final class Instance implements ServletContextListener {
    private static final String ATTRIBUTE = Instance.class.getName();
    private static final DateTimeFormatter STAMP = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss,SSSZ", Locale.ROOT);
    private static final DateTimeFormatter DAY = DateTimeFormatter.ofPattern("yyyyMMdd", Locale.ROOT);
    private static final String[] FOLDERS = {
        "analytics-logs", "caches/indexesV1/changes", "caches/indexesV1/comments", "caches/indexesV1/issues",
        "caches/tmp_attachments", "data/attachments", "data/avatars", "export", "import/attachments", "log/audit",
        "logos", "monitor", "plugins/.bundled-plugins", "plugins/.osgi-plugins/felix/felix-cache",
        "plugins/.osgi-plugins/transformed-plugins", "plugins/installed-plugins", "tmp",
    };

    private final AtomicInteger requests = new AtomicInteger();
    private volatile String state = "STARTING";
    private volatile String failedPath;
    private volatile String failure;
    private String version = "unknown";
    private Path home;
    private Path install;
    private FileChannel lockChannel;
    private FileLock lock;

    /** Some work on one path that must succeed. */
    private interface Work {
        void on(Path path) throws IOException;
    }

    public static Instance of(ServletContext context) {
        return (Instance) context.getAttribute(ATTRIBUTE);
    }

    public String state() {
        return state;
    }

    public String version() {
        return version;
    }

    /** The answer of /status; Jira's own has only the state. */
    public String statusAsJson() {
        if (failure == null) {
            return "{\"state\":\"" + state + "\"}";
        }
        return "{\"state\":\"" + state + "\",\"path\":\"" + escape(failedPath) + "\",\"error\":\"" + escape(failure) + "\"}";
    }

    @Override
    public void contextInitialized(ServletContextEvent event) {
        ServletContext context = event.getServletContext();
        context.setAttribute(ATTRIBUTE, this);
        install = Path.of(System.getProperty("catalina.base"));
        Path webapp = Path.of(context.getRealPath("/"));
        version = read(webapp.resolve("META-INF/maven/com.atlassian.jira/jira-webapp-dist/pom.properties"), "version");
        String configured = System.getProperty("jira.home");
        if (configured == null) {
            configured = read(webapp.resolve("WEB-INF/classes/jira-application.properties"), "jira.home");
        }
        if (configured == null || configured.isBlank()) {
            fail(webapp.resolve("WEB-INF/classes/jira-application.properties"), new IOException("jira.home is not set"));
            return;
        }
        home = Path.of(configured.trim());
        try {
            start(webapp);
        } catch (RuntimeException error) {
            fail(home, error);
        }
        if (failure == null) {
            state = "RUNNING";
        }
    }

    @Override
    public void contextDestroyed(ServletContextEvent event) {
        if (state.equals("RUNNING")) {
            log("localhost-startStop-2", "[c.a.jira.startup.DefaultJiraLauncher] JIRA is shutting down");
        }
        try {
            if (lock != null) {
                lock.release();
                lockChannel.close();
                Files.deleteIfExists(home.resolve(".jira-home.lock"));
            }
        } catch (IOException error) {
            fail(home.resolve(".jira-home.lock"), error);
        }
        state = "STOPPING";
    }

    private void start(Path webapp) {
        attempt(home.resolve(".jira-home.lock"), this::takeLock);
        for (String folder : FOLDERS) {
            attempt(home.resolve(folder), Files::createDirectories);
        }
        log("JIRA-Bootstrap", "[c.a.jira.startup.JiraStartupLogger] \n    \n    ****************\n    Jira starting...\n    ****************\n    ");
        attempt(home.resolve("dbconfig.xml"), Files::readAllBytes);
        attempt(home.resolve("log/atlassian-jira-security.log"), path -> append(path, ""));
        attempt(home.resolve("plugins/installed-plugins"), this::listFolder);
        copyBundledApps(webapp.resolve("WEB-INF/atlassian-bundled-plugins"));
        // Lucene maps its segments into memory, the monitoring maps its round-robin files.
        attempt(home.resolve("caches/indexesV1/issues/write.lock"), path -> append(path, ""));
        attempt(home.resolve("caches/indexesV1/issues/segments_1"), Instance::writeMapped);
        attempt(home.resolve("monitor/DatabaseReadWritesGraph.rrd4j"), Instance::writeMapped);
        attempt(home.resolve("export"), Instance::mustBeWritable);
        attempt(home.resolve("import"), Instance::mustBeWritable);
        attempt(install.resolve("logs"), Instance::mustBeWritable);
        attempt(install.resolve("work/Catalina/localhost"), Instance::mustBeWritable);
        audit("jira.auditing.system.started", "System started");
        temporaryFiles(Long.toString(System.currentTimeMillis(), 36));
        if (failure == null) {
            log("JIRA-Bootstrap", "[c.a.jira.startup.DefaultJiraLauncher] JIRA is ready to serve " + version);
        }
    }

    /** What answering a page writes: a session in the security log, a temporary file, a temporary attachment, data. */
    public void everyRequest() {
        int number = requests.incrementAndGet();
        ZonedDateTime now = ZonedDateTime.now();
        String id = (now.getHour() * 60 + now.getMinute()) + "x" + number + "x1";
        String session = Integer.toString(1_000_000_000 + number, 36);
        attempt(home.resolve("log/atlassian-jira-security.log"), path -> append(path, STAMP.format(now) + " "
            + Thread.currentThread().getName() + " anonymous " + id + " " + session + " 127.0.0.1 /secure/Dashboard.jspa"
            + " HttpSession created [" + session + "]\n"));
        temporaryFiles(session);
    }

    private void temporaryFiles(String name) {
        attempt(home.resolve("caches/tmp_attachments/" + name), Instance::writeAndRemove);
        attempt(home.resolve("data/attachments/." + name), Instance::writeAndRemove);
        attempt(home.resolve("tmp/" + name), Instance::writeAndRemove);
        attempt(Path.of(System.getProperty("java.io.tmpdir")), folder -> Files.delete(Files.createTempFile(folder, "jira", null)));
    }

    private void copyBundledApps(Path bundled) {
        try (Stream<Path> jars = Files.list(bundled)) {
            for (Path jar : (Iterable<Path>) jars.sorted()::iterator) {
                Path target = home.resolve("plugins/.osgi-plugins/transformed-plugins").resolve(jar.getFileName());
                attempt(target, path -> Files.copy(jar, path, StandardCopyOption.REPLACE_EXISTING));
            }
        } catch (IOException error) {
            fail(bundled, error);
        }
    }

    private void audit(String key, String action) {
        ZonedDateTime now = ZonedDateTime.now();
        String line = "{\"affectedObjects\":[],\"auditType\":{\"action\":\"" + action + "\",\"actionI18nKey\":\"" + key
            + "\",\"area\":\"GLOBAL_CONFIG_AND_ADMINISTRATION\",\"category\":\"system\",\"level\":\"BASE\"},\"author\":{\"id\":\"-2\","
            + "\"name\":\"Anonymous\",\"type\":\"user\"},\"changedValues\":[],\"extraAttributes\":[],\"method\":\"System\",\"timestamp\":"
            + "{\"epochSecond\":" + now.toEpochSecond() + ",\"nano\":" + now.getNano() + "},\"version\":\"1.0\"}\n";
        attempt(home.resolve("log/audit/" + DAY.format(now) + ".00000.audit.log"), path -> append(path, line));
    }

    private void log(String thread, String message) {
        attempt(home.resolve("log/atlassian-jira.log"),
            path -> append(path, STAMP.format(ZonedDateTime.now()) + " " + thread + " INFO      " + message + "\n"));
    }

    private void takeLock(Path path) throws IOException {
        lockChannel = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        lock = lockChannel.tryLock();
        if (lock == null) {
            throw new IOException("another Jira uses this home");
        }
    }

    private void listFolder(Path path) throws IOException {
        try (Stream<Path> files = Files.list(path)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                attempt(file, Files::readAllBytes);
            }
        }
    }

    private static void append(Path path, String text) throws IOException {
        Files.write(path, text.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
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

    private void attempt(Path path, Work work) {
        try {
            work.on(path);
        } catch (IOException | RuntimeException error) {
            fail(path, error);
        }
    }

    /** Keep the first failure: later ones mostly follow from it. */
    private synchronized void fail(Path path, Exception error) {
        System.err.println("Jira cannot run: " + path + ": " + error);
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
