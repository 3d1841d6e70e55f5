// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Who asks: by token, session, or name and password; what that one may do, and how often. */
final class Callers {
    /** What a resource can demand of who asks, each more than the one before. */
    static final List<String> LEVELS = List.of("anyone", "user", "admin", "sysadmin");
    /** As tokens are dated. */
    static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSxx", Locale.ROOT);
    static final String COOKIE = "JSESSIONID";

    private static final int MOST = 1000;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Database database;
    private final Map<String, Bucket> buckets = new ConcurrentHashMap<>();
    private final Map<String, Session> sessions = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Session> eldest) {
            return size() > MOST;
        }
    };

    /** Somebody who has logged in, and until when as an administrator once more. */
    static final class Session {
        final String user;
        final String token = random();
        volatile long elevatedUntil;

        Session(String user) {
            this.user = user;
        }

        boolean isElevated() {
            return System.currentTimeMillis() < elevatedUntil;
        }
    }

    /** A name, or nothing for somebody unknown; how much the name may; whether a token says so; the session, or null. */
    record Caller(String name, int level, boolean byToken, Session session) {
    }

    /** Requests somebody has left; whoever comes for the first time has all. */
    private static final class Bucket {
        private double tokens = Integer.MAX_VALUE;
        private long filled;
    }

    Callers(Database database) {
        this.database = database;
    }

    static String random() {
        byte[] bytes = new byte[20];
        RANDOM.nextBytes(bytes);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /** Name and password of basic authentication. */
    static String[] basic(String header) {
        if (header == null || !header.regionMatches(true, 0, "Basic ", 0, 6)) {
            return null;
        }
        try {
            String pair = new String(Base64.getDecoder().decode(header.substring(6).strip()), StandardCharsets.UTF_8);
            int colon = pair.indexOf(':');
            return colon < 0 ? null : new String[] {pair.substring(0, colon), pair.substring(colon + 1)};
        } catch (IllegalArgumentException error) {
            return null;
        }
    }

    /** Begins a session: the value of its cookie. */
    synchronized String begin(String user) {
        String id = random();
        sessions.put(id, new Session(user));
        return id;
    }

    synchronized Session session(String cookies) {
        for (String cookie : cookies == null ? new String[0] : cookies.split("; *")) {
            if (cookie.startsWith(COOKIE + "=")) {
                return sessions.get(cookie.substring(COOKIE.length() + 1));
            }
        }
        return null;
    }

    /** Whose token it is, or nothing: it must be known, not over, and of somebody who is active. */
    String owner(String token) throws IOException {
        for (Map<String, Object> row : database.rows("tokens")) {
            boolean holds = token.equals(row.get("rawToken"))
                && OffsetDateTime.parse((String) row.get("expiringAt"), DATE).isAfter(OffsetDateTime.now());
            if (holds) {
                Map<String, Object> user = user((String) row.get("user"));
                return user != null && Boolean.TRUE.equals(user.get("active")) ? (String) row.get("user") : "";
            }
        }
        return "";
    }

    /** Whether basic authentication is switched off for a name and a path; an argument of the virtual machine wins. */
    boolean basicIsBlocked(String name, String path) throws IOException {
        if (Boolean.getBoolean("com.atlassian.plugins.authentication.basic.auth.filter.force.allow")) {
            return false;
        }
        Map<String, Object> settings = database.settings("basic-auth");
        return Boolean.TRUE.equals(settings.get("block-requests"))
            && texts(settings.get("allowed-users")).stream().noneMatch(name::equalsIgnoreCase)
            && texts(settings.get("allowed-paths")).stream().noneMatch(allowed -> matches(allowed, path));
    }

    private static boolean matches(String allowed, String path) {
        return allowed.endsWith("*") ? path.startsWith(allowed.substring(0, allowed.length() - 1)) : path.equals(allowed);
    }

    /** What somebody may do: by itself, and by groups, those that hold these groups too. */
    int level(String name) throws IOException {
        Map<String, Object> user = user(name);
        Map<String, Map<String, Object>> groups = new HashMap<>();
        for (Map<String, Object> group : database.rows("groups")) {
            groups.put((String) group.get("name"), group);
        }
        return Math.max(LEVELS.indexOf("user"), user == null ? 0 : level(user, groups, new HashSet<>()));
    }

    private static int level(Map<String, Object> member, Map<String, Map<String, Object>> groups, Set<String> seen) {
        int level = LEVELS.indexOf(member.getOrDefault("grants", ""));
        for (String group : texts(member.get("groups"))) {
            if (groups.containsKey(group) && seen.add(group)) {
                level = Math.max(level, level(groups.get(group), groups, seen));
            }
        }
        return level;
    }

    private Map<String, Object> user(String name) throws IOException {
        return database.rows("users").stream().filter(row -> name.equalsIgnoreCase((String) row.get("name"))).findFirst()
            .orElse(null);
    }

    @SuppressWarnings("unchecked")
    static List<String> texts(Object value) {
        return value instanceof List<?> list ? (List<String>) list : List.of();
    }

    /** Takes one of somebody's requests, and tells in headers what is left; the answer is whether there was one. */
    boolean mayAsk(String name, Occasion occasion) throws IOException {
        Map<String, Object> settings = database.settings("rate-limit");
        boolean ofBitbucket = settings.get("defaultSettings") instanceof Map;
        if (!(ofBitbucket ? Boolean.TRUE.equals(settings.get("enabled")) : "ON".equals(settings.get("mode")))) {
            return true;
        }
        Map<?, ?> limits = ofBitbucket ? (Map<?, ?>) settings.get("defaultSettings") : settings;
        long capacity = (Long) limits.get(ofBitbucket ? "capacity" : "defaultCapacity");
        long rate = (Long) limits.get(ofBitbucket ? "fillRate" : "defaultFillRate");
        long seconds = ofBitbucket ? 1 : Duration.of((Long) limits.get("defaultIntervalFrequency"),
            ChronoUnit.valueOf((String) limits.get("defaultIntervalTimeUnit"))).toSeconds();
        Bucket bucket = buckets.computeIfAbsent(name, any -> new Bucket());
        boolean may;
        synchronized (bucket) {
            long intervals = System.currentTimeMillis() / 1000 / seconds - bucket.filled;
            bucket.tokens = Math.min(capacity, bucket.tokens + (double) rate * intervals);
            bucket.filled += intervals;
            may = bucket.tokens >= 1;
            bucket.tokens -= may ? 1 : 0;
            occasion.header("X-RateLimit-Limit", Long.toString(capacity));
            occasion.header("X-RateLimit-Remaining", Long.toString((long) bucket.tokens));
            occasion.header("X-RateLimit-FillRate", Long.toString(rate));
            occasion.header("X-RateLimit-Interval-Seconds", Long.toString(seconds));
            occasion.header("Retry-After", Long.toString(may ? 0 : seconds));
        }
        return may;
    }
}
