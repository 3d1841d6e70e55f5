// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.io.IOException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Resources that programs ask for, as section `rest` of the script has them; README.md of the doubles explains its lines. */
public final class Rest {
    private static final Pattern OPTION = Pattern.compile("([a-z]+)=(\\S*)");
    private static final Pattern CONDITION = Pattern.compile("([\\w-]+)(\\[\\]|[=~^*!@])([\\w]*)");
    private static final List<String> KINDS_OF_FORMS =
        List.of("application/x-www-form-urlencoded", "multipart/form-data", "text/plain");
    private static final String JSON = "application/json";

    private final Instance instance;
    private final Database database;
    private final Callers callers;
    private final List<Resource> resources = new ArrayList<>();
    private final Map<String, String> forms = new HashMap<>();
    private final Map<String, Page> pages = new HashMap<>();
    private final Map<String, Answer> refusals = new HashMap<>();

    /** A request: `parameters` are those of the query and of a form, `base` is the address of the web application. */
    public record Request(String method, String path, Map<String, String> parameters, Function<String, String> header,
            String body, String base) {
    }

    /** What is answered; nothing but a status if the body is empty. */
    public record Answer(int status, String type, String body) {
    }

    /** How long lists are divided: names and default of the parameters, and the most that one page has. */
    private record Page(String start, String limit, long usual, long most, String template) {
    }

    /** One line of the section. */
    private record Resource(String method, List<List<String>> path, int level, String kind, Map<String, String> options,
            String text) {
        String option(String name, String otherwise) {
            return options.getOrDefault(name, otherwise);
        }
    }

    /** A request while it is answered. */
    private record Call(Resource resource, Request request, Callers.Caller caller, Object body, Map<String, String> variables,
            Occasion occasion) {
        /** What was sent under a name: in the path, as a parameter, or in the body. */
        String sent(String name) {
            String value = variables.getOrDefault(name, request.parameters().get(name));
            return value == null && body instanceof Map<?, ?> map && map.get(name) instanceof String text ? text : value;
        }
    }

    Rest(Instance instance, List<String> lines, Database database) {
        this.instance = instance;
        this.database = database;
        callers = new Callers(database);
        lines.forEach(this::read);
    }

    private void read(String line) {
        String[] words = line.split(" ", 7);
        switch (words[0]) {
            case "form" -> forms.put(words[1], after(line, 2));
            case "page" -> pages.put(words[1],
                new Page(words[2], words[3], Long.parseLong(words[4]), Long.parseLong(words[5]), words[6]));
            case "refusal" -> refusals.put(words[1], new Answer(Integer.parseInt(words[2]), words[3], after(line, 4)));
            default -> resources.add(resource(line));
        }
    }

    private static Resource resource(String line) {
        String[] words = line.split(" ", 5);
        Map<String, String> options = new HashMap<>();
        String rest = words.length > 4 ? words[4] : "";
        for (Matcher option = OPTION.matcher(rest); option.lookingAt(); option = OPTION.matcher(rest)) {
            options.put(option.group(1), option.group(2));
            rest = rest.substring(option.end()).stripLeading();
        }
        List<List<String>> path = Stream.of(words[1].split("/")).map(part -> List.of(part.split("\\|"))).toList();
        return new Resource(words[0], path, Callers.LEVELS.indexOf(words[2]), words[3], options, rest);
    }

    private static String after(String line, int words) {
        return line.split(" ", words + 1)[words];
    }

    /** Paths that are none of /rest, for the container to hand on. */
    public List<String> otherPaths() {
        return resources.stream()
            .map(resource -> resource.path().stream().map(part -> part.get(0)).collect(Collectors.joining("/")))
            .filter(path -> !path.startsWith("/rest/")).distinct().toList();
    }

    /** The cookie of a session of somebody who has just logged in. */
    public String begin(String user, String contextPath) {
        return Callers.COOKIE + "=" + callers.begin(user) + "; Path=" + contextPath + "/; HttpOnly";
    }

    /** What an area of the audit log has, or null where nothing is kept of it. */
    String coverage(String area) throws IOException {
        return database.settings("audit-coverage").get("levelByArea") instanceof Map<?, ?> levels
            ? (String) levels.get(area.toLowerCase(Locale.ROOT).replace('_', '-')) : null;
    }

    /** Whether an action is kept out of the audit log. */
    boolean isExcluded(String action) throws IOException {
        return Callers.texts(database.settings("audit-denylist").get("actions")).contains(action);
    }

    /** Answers a request, and has the instance write what the product writes of it. */
    public Answer answer(Request request, Occasion occasion) {
        try {
            return served(request, occasion);
        } catch (IOException | RuntimeException error) {
            error.printStackTrace();
            return refusal("broken", occasion);
        }
    }

    private Answer served(Request request, Occasion occasion) throws IOException {
        String authorization = request.header().apply("Authorization");
        String[] basic = Callers.basic(authorization);
        Callers.Session session = callers.session(request.header().apply("Cookie"));
        String name = session == null ? "" : session.user;
        boolean byToken = authorization != null && authorization.regionMatches(true, 0, "Bearer ", 0, 7);
        if (byToken) {
            session = null;
            name = callers.owner(authorization.substring(7).strip());
            if (name.isEmpty()) {
                return refusal("token", occasion);
            }
        } else if (isOfApplications(request.path())) {
            // No user: its rights end with these resources.
            boolean known = basic != null && basic[0].equals(instance.value("application"));
            Callers.Caller application = new Callers.Caller(basic == null ? "" : basic[0], Callers.LEVELS.size(), false, null);
            return known ? found(request, application, occasion) : refusal("anonymous", occasion);
        } else if (basic != null) {
            if (callers.basicIsBlocked(basic[0], request.path())) {
                return refusal("blocked", occasion);
            }
            Login login = new Login(request.path(), "basic", "", "", 401, 200, "");
            Accounts.Outcome outcome = instance.login(login, basic[0], basic[1], occasion);
            if (!outcome.section().equals("succeeded")) {
                return refusal(login.status(outcome) == 403 ? "denied" : "failed", occasion);
            }
            name = outcome.account();
            if (session == null || !session.user.equals(name)) {
                String cookie = begin(name, request.base().replaceFirst("^\\w+://[^/]*", ""));
                occasion.header("Set-Cookie", cookie);
                session = callers.session(cookie);
            }
        }
        if (!name.isEmpty() && basic == null) {
            occasion.note("account", name);
            instance.recognise(occasion);
        }
        if (!name.isEmpty() && !callers.mayAsk(name, occasion)) {
            return refusal("limited", occasion);
        }
        Callers.Caller caller = new Callers.Caller(name, name.isEmpty() ? 0 : callers.level(name), byToken, session);
        return found(request, caller, occasion);
    }

    /** Whether applications ask there rather than people. */
    boolean isOfApplications(String path) {
        return instance.value("application") != null && path.startsWith("/rest/usermanagement/");
    }

    private Answer found(Request request, Callers.Caller caller, Occasion occasion) throws IOException {
        boolean known = false;
        for (Resource resource : resources) {
            Map<String, String> variables = variables(resource, request.path());
            if (variables == null || !isOfVersion(resource)) {
                continue;
            }
            known = true;
            if (resource.method().equals(request.method())) {
                return allowed(new Call(resource, request, caller, body(request), variables, occasion));
            }
        }
        return refusal(known ? "method" : "missing", occasion);
    }

    /** What the parts of a path in braces are, or null if it is another path. */
    private static Map<String, String> variables(Resource resource, String path) {
        List<String> parts = List.of(path.split("/"));
        if (parts.size() != resource.path().size()) {
            return null;
        }
        Map<String, String> variables = new HashMap<>();
        for (int i = 0; i < parts.size(); i++) {
            List<String> wanted = resource.path().get(i);
            if (wanted.get(0).startsWith("{")) {
                variables.put(wanted.get(0).substring(1, wanted.get(0).length() - 1), parts.get(i));
            } else if (!wanted.contains(parts.get(i))) {
                return null;
            }
        }
        return variables;
    }

    /** Versions a resource is in: `FROM-TO`, the latter not included, or empty; several with commas. */
    private boolean isOfVersion(Resource resource) {
        String version = number(instance.value("version"));
        return Stream.of(resource.option("versions", "-").split(",")).map(range -> range.split("-", 2)).anyMatch(range ->
            version.compareTo(number(range[0])) >= 0 && (range[1].isEmpty() || version.compareTo(number(range[1])) < 0));
    }

    private static String number(String version) {
        return version == null ? "" : Stream.of(version.split("\\."))
            .map(part -> "0".repeat(Math.max(0, 6 - part.length())) + part).collect(Collectors.joining("."));
    }

    private static Object body(Request request) {
        try {
            return request.body().isEmpty() ? null : Json.read(request.body());
        } catch (IllegalArgumentException error) {
            return null;
        }
    }

    private Answer allowed(Call call) throws IOException {
        Request request = call.request();
        Resource resource = call.resource();
        if (call.caller().level() < resource.level()) {
            return refusal(call.caller().name().isEmpty() ? "anonymous" : "forbidden", call.occasion());
        }
        if (!hasToken(request, call.caller().session())) {
            return refusal("xsrf", call.occasion());
        }
        boolean elevated = call.caller().session() != null && call.caller().session().isElevated();
        if (resource.options().containsKey("websudo") && !elevated && !(call.caller().byToken() && tokensElevate())) {
            return refusal("websudo", call.occasion());
        }
        String table = resource.option("found", "");
        if (!table.isEmpty() && rows(call, table.split(":")[0], table.split(":")[1]).isEmpty()) {
            return refusal("missing", call.occasion());
        }
        if (request.method().equals("GET")) {
            return done(call);
        }
        // Nobody changes a table between what another has read of it and written.
        synchronized (database) {
            return done(call);
        }
    }

    private boolean tokensElevate() {
        return Boolean.parseBoolean(instance.value("rest.tokens-elevate"));
    }

    /** A form of another site is turned away; so is what a browser sends in the name of one. */
    private static boolean hasToken(Request request, Callers.Session session) {
        String type = request.header().apply("Content-Type");
        String agent = request.header().apply("User-Agent");
        boolean ofForm = request.method().equals("POST") && (type == null || KINDS_OF_FORMS.stream().anyMatch(type::startsWith));
        boolean ofBrowser = !request.method().equals("GET") && agent != null && agent.startsWith("Mozilla");
        String token = request.header().apply("X-Atlassian-Token");
        String sent = request.parameters().get("atl_token");
        return !ofForm && !ofBrowser
            || token != null && List.of("no-check", "nocheck").contains(token)
            || session != null && session.token.equals(sent);
    }

    private Answer done(Call call) throws IOException {
        Resource resource = call.resource();
        String table = resource.option("in", "");
        int status = Integer.parseInt(resource.option("status", "200"));
        return switch (resource.kind()) {
            case "answer" -> new Answer(status, resource.option("type", JSON), fill(resource.text(), call, Map.of()));
            case "settings" -> new Answer(status, JSON, Json.write(database.get(table)));
            case "merge", "replace" -> written(call, table, status);
            case "amend" -> amended(call, table, resource.option("list", ""));
            case "rows" -> one(call) ? single(call, rows(call, table, resource.option("single", "")), status)
                : listed(call, rows(call, table, resource.option("where", "")));
            case "row" -> single(call, rows(call, table, resource.option("where", "")), status);
            case "change" -> changed(call, table, status);
            case "drop" -> dropped(call, table, status);
            case "token" -> token(call);
            case "events" -> listed(call, events(call));
            case "elevate" -> elevated(call, status);
            case "relinquish" -> relinquished(call, status);
            default -> throw new IllegalArgumentException("no such kind: " + resource.kind());
        };
    }

    private Answer refusal(String name, Occasion occasion) {
        Answer answer = refusals.getOrDefault(name, new Answer(500, JSON, "{}"));
        return new Answer(answer.status(), answer.type(), instance.filled(answer.body(), occasion));
    }

    // Settings

    private Answer written(Call call, String table, int status) throws IOException {
        if (!(call.body() instanceof Map<?, ?> sent)) {
            return refusal("invalid", call.occasion());
        }
        Map<String, Object> old = database.settings(table);
        Map<String, Object> now = Database.merged(call.resource().kind().equals("merge") ? old : Map.of(), sent);
        keep(call, table, old, now);
        return new Answer(status, JSON, status == 204 ? "" : Json.write(now));
    }

    /** Adds to a list of texts and takes from it. */
    private Answer amended(Call call, String table, String list) throws IOException {
        if (!(call.body() instanceof Map<?, ?> sent)) {
            return refusal("invalid", call.occasion());
        }
        Map<String, Object> old = database.settings(table);
        List<String> texts = new ArrayList<>(Callers.texts(old.get(list)));
        texts.removeAll(Callers.texts(sent.get("delete")));
        texts.addAll(Callers.texts(sent.get("add")));
        Map<String, Object> now = Database.merged(old, Map.of(list, texts.stream().distinct().toList()));
        keep(call, table, old, now);
        return new Answer(200, JSON, Json.write(now));
    }

    /** Keeps settings or a row, and has told what is another than before. */
    private void keep(Call call, String table, Map<String, Object> old, Map<String, Object> now) throws IOException {
        database.put(table, now);
        tell(call, table, Database.leaves(old), Database.leaves(now));
    }

    private void tell(Call call, String table, Map<String, String> old, Map<String, String> now) {
        String template = forms.getOrDefault("change:" + table, forms.getOrDefault("change", ""));
        Map<String, String> all = new TreeMap<>(old);
        all.putAll(now);
        String changes = all.keySet().stream()
            .map(key -> Map.of("key", key, "from", old.getOrDefault(key, ""), "to", now.getOrDefault(key, "")))
            .filter(values -> !values.get("from").equals(values.get("to")))
            .map(values -> Text.fill(template, values::get)).collect(Collectors.joining(","));
        if (!changes.isEmpty()) {
            call.occasion().note("changes", changes);
            instance.changed(table, call.occasion());
        }
    }

    // Rows

    /** Rows of a table for which all conditions hold: COLUMN, operator, name of what was sent. */
    private List<Map<String, Object>> rows(Call call, String table, String conditions) throws IOException {
        Stream<Map<String, Object>> rows = database.rows(table).stream();
        for (String condition : conditions.isEmpty() ? new String[0] : conditions.split(",")) {
            Matcher parts = CONDITION.matcher(condition);
            if (!parts.matches()) {
                throw new IllegalArgumentException("no such condition: " + condition);
            }
            String sent = parts.group(2).equals("@") ? call.caller().name() : call.sent(parts.group(3));
            Predicate<Object> wanted = parts.group(2).equals("^") ? within(sent) : condition(parts.group(2), sent, call.body());
            String column = parts.group(1);
            rows = rows.filter(row -> wanted.test(row.get(column)));
        }
        return rows.toList();
    }

    /** What was not sent divides nothing, but nothing is equal to it. */
    private static Predicate<Object> condition(String operator, String sent, Object body) {
        boolean all = sent == null || List.of("", ".").contains(sent);
        String wanted = sent == null ? "" : sent.toLowerCase(Locale.ROOT);
        return switch (operator) {
            case "=", "@" -> value -> String.valueOf(value).equalsIgnoreCase(sent);
            case "~" -> value -> sent == null || holds(value, sent);
            case "*" -> value -> all || String.valueOf(value).toLowerCase(Locale.ROOT).contains(wanted);
            case "!" -> value -> Boolean.TRUE.equals(value) || wanted.equals("true");
            default -> value -> body instanceof List<?> list
                && list.stream().map(String::valueOf).anyMatch(String.valueOf(value)::equals);
        };
    }

    /** Whether a list has a group, or one that is in it by way of others. */
    private Predicate<Object> within(String group) throws IOException {
        Set<String> found = new TreeSet<>(String.CASE_INSENSITIVE_ORDER);
        found.add(group == null ? "" : group);
        List<Map<String, Object>> groups = database.rows("groups");
        for (int before = 0; before < found.size();) {
            before = found.size();
            groups.stream().filter(row -> Callers.texts(row.get("groups")).stream().anyMatch(found::contains))
                .forEach(row -> found.add((String) row.get("name")));
        }
        return list -> Callers.texts(list).stream().anyMatch(found::contains);
    }

    private static boolean holds(Object list, String wanted) {
        for (String text : Callers.texts(list)) {
            if (text.equalsIgnoreCase(wanted)) {
                return true;
            }
        }
        return false;
    }

    /** Whether a list is asked for one of its rows. */
    private static boolean one(Call call) {
        String condition = call.resource().option("single", "");
        return !condition.isEmpty() && call.sent(condition.substring(condition.indexOf('=') + 1)) != null;
    }

    private Answer single(Call call, List<Map<String, Object>> rows, int status) throws IOException {
        return rows.isEmpty() ? refusal("missing", call.occasion()) : new Answer(status, JSON, shaped(call, rows.get(0)));
    }

    /** A row as it is told; some tables have texts in place of rows. */
    private String shaped(Call call, Object entry) {
        String form = call.resource().option("as", "");
        if (form.isEmpty() || !(entry instanceof Map<?, ?>)) {
            return Json.write(entry);
        }
        @SuppressWarnings("unchecked")
        Map<String, Object> row = (Map<String, Object>) entry;
        Map<String, Object> all = new HashMap<>(row);
        String wanted = call.request().parameters().getOrDefault("expand", "");
        all.put("expanded", Stream.of(wanted.split(",")).filter(name -> row.get(name) != null)
            .map(name -> fill(forms.getOrDefault("expand:" + name, ""), call, row)).collect(Collectors.joining()));
        return fill(forms.get(form), call, all);
    }

    private Answer listed(Call call, List<Map<String, Object>> rows) throws IOException {
        Page page = pages.get(call.resource().option("page", "whole"));
        String among = call.resource().option("among", "");
        List<Map<String, Object>> all = among.isEmpty() ? rows : among(call, rows, among.split(":"));
        long limit = Math.min(parameter(call, page.limit(), page.usual()), page.most());
        long first = parameter(call, page.start(), 0);
        long start = Math.min(page.start().equals("page") ? first * limit : first, all.size());
        List<Map<String, Object>> part = all.subList((int) start, (int) Math.min(start + limit, all.size()));
        boolean last = start + part.size() >= all.size();
        Map<String, Object> known = new HashMap<>();
        known.put("start", start);
        known.put("limit", limit);
        known.put("next", start + part.size());
        known.put("size", part.size());
        known.put("total", all.size());
        known.put("last", last);
        known.put("page", first);
        List<?> entries = part;
        known.put("cursor", last || !(entries.get(part.size() - 1) instanceof Map<?, ?> row) ? "" : row.get("cursor"));
        known.put("items", entries.stream().map(entry -> shaped(call, entry)).collect(Collectors.joining(",")));
        // Parts of a page that only the last one has not.
        known.put("more", last ? "" : fill(forms.getOrDefault("more:" + call.resource().option("page", ""), ""), call, known));
        return new Answer(200, JSON, fill(page.template(), call, known));
    }

    /** Those rows whose name a list of a row of another table has: LIST, TABLE, condition. */
    private List<Map<String, Object>> among(Call call, List<Map<String, Object>> rows, String[] where) throws IOException {
        List<String> names = rows(call, where[1], where[2]).stream()
            .flatMap(row -> Callers.texts(row.get(where[0])).stream()).toList();
        return rows.stream().filter(row -> names.contains(row.get("name"))).toList();
    }

    private static long parameter(Call call, String name, long otherwise) {
        String sent = call.request().parameters().get(name);
        Object inBody = call.body() instanceof Map<?, ?> map ? map.get(name) : null;
        try {
            return Math.max(0, sent != null ? Long.parseLong(sent) : inBody instanceof Long number ? number : otherwise);
        } catch (NumberFormatException error) {
            return otherwise;
        }
    }

    private Answer changed(Call call, String table, int status) throws IOException {
        List<Map<String, Object>> found = rows(call, table, call.resource().option("where", ""));
        if (found.isEmpty() || !(call.body() instanceof Map<?, ?> sent)) {
            return refusal(found.isEmpty() ? "missing" : "invalid", call.occasion());
        }
        Map<String, Object> old = found.get(0);
        Map<String, Object> now = new LinkedHashMap<>(old);
        Stream.of(call.resource().option("fields", "").split(",")).filter(sent::containsKey)
            .forEach(name -> now.put(name, sent.get(name)));
        database.put(table, Database.replaced(database.rows(table), old, now));
        tell(call, table, Map.of(String.valueOf(old.get("id")), Json.write(old.get("value"))),
            Map.of(String.valueOf(old.get("id")), Json.write(now.get("value"))));
        return new Answer(status, JSON, status == 204 ? "" : shaped(call, now));
    }

    private Answer dropped(Call call, String table, int status) throws IOException {
        List<Map<String, Object>> dropped = rows(call, table, call.resource().option("where", ""));
        if (dropped.isEmpty()) {
            return refusal("missing", call.occasion());
        }
        database.put(table, database.rows(table).stream().filter(row -> !dropped.contains(row)).toList());
        return new Answer(status, JSON, "");
    }

    /** Makes a token: only this answer has it. */
    private Answer token(Call call) throws IOException {
        if (!(call.body() instanceof Map<?, ?> sent) || !(sent.get("name") instanceof String name)) {
            return refusal("invalid", call.occasion());
        }
        OffsetDateTime now = OffsetDateTime.now();
        long id = 1 + database.rows("tokens").stream().mapToLong(row -> (Long) row.get("id")).max().orElse(0);
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("id", id);
        row.put("name", name);
        row.put("user", call.caller().name());
        row.put("createdAt", Callers.DATE.format(now));
        row.put("expiringAt", sent.get("expirationDuration") instanceof Long days ? Callers.DATE.format(now.plusDays(days))
            : "9999-12-31T00:00:00.000+0000");
        row.put("rawToken", Callers.random());
        List<Map<String, Object>> rows = new ArrayList<>(database.rows("tokens"));
        rows.add(row);
        database.put("tokens", rows);
        return new Answer(201, JSON, fill(forms.get("new-token"), call, row));
    }

    // Secure administrator sessions

    private Answer elevated(Call call, int status) {
        Callers.Session session = call.caller().session();
        String password = call.sent(call.resource().option("password", ""));
        if (session == null || password == null || !instance.knows(session.user, password)) {
            return refusal("elevation", call.occasion());
        }
        session.elevatedUntil = System.currentTimeMillis() + 600_000;
        String where = call.sent(call.resource().option("destination", ""));
        call.occasion().header("Location", call.request().base() + (where == null ? "/" : where));
        return new Answer(status, JSON, "");
    }

    private Answer relinquished(Call call, int status) {
        if (call.caller().session() != null) {
            call.caller().session().elevatedUntil = 0;
        }
        return new Answer(status, JSON, "");
    }

    // Audit log

    /** Entries of the files, the last first, as the resource tells them. */
    private List<Map<String, Object>> events(Call call) throws IOException {
        List<Map<String, Object>> events = new ArrayList<>();
        for (String line : instance.auditLines()) {
            if (!(Json.read(line) instanceof Map<?, ?> entry)) {
                continue;
            }
            Map<?, ?> time = (Map<?, ?>) entry.get("timestamp");
            long millis = (Long) time.get("epochSecond") * 1000 + (Long) time.get("nano") / 1_000_000;
            Map<String, Object> event = new LinkedHashMap<>();
            entry.forEach((name, value) -> event.put((String) name, value));
            event.put("timestamp", Instant.ofEpochMilli(millis).toString());
            event.put("type", event.remove("auditType"));
            event.remove("version");
            events.add(Map.of("cursor", millis + "," + events.size(), "event", event));
        }
        Collections.reverse(events);
        return events.stream().filter(row -> isAskedFor(row, call)).toList();
    }

    private static boolean isAskedFor(Map<String, Object> row, Call call) {
        Map<?, ?> event = (Map<?, ?>) row.get("event");
        Map<?, ?> type = (Map<?, ?>) event.get("type");
        String cursor = call.sent("pageCursor");
        return isOneOf(type.get("action"), call.sent("actions")) && isOneOf(type.get("category"), call.sent("categories"))
            && (call.sent("from") == null || ((String) event.get("timestamp")).compareTo(call.sent("from")) >= 0)
            && (call.sent("to") == null || ((String) event.get("timestamp")).compareTo(call.sent("to")) <= 0)
            && (cursor == null || position(row.get("cursor")) < position(cursor))
            && condition("*", call.sent("search"), null).test(Json.write(event));
    }

    private static long position(Object cursor) {
        return Long.parseLong(((String) cursor).split(",")[1]);
    }

    private static boolean isOneOf(Object value, String list) {
        return list == null || List.of(list.split(",")).contains(value);
    }

    /** Placeholders of a template: of a row, then what was sent, then what every text of the script may name. */
    private String fill(String template, Call call, Map<String, Object> row) {
        return Text.fill(template, name -> {
            if (name.equals("row")) {
                return Json.write(row);
            }
            if (row.containsKey(name)) {
                Object value = row.get(name);
                return value == null ? "" : value instanceof String text ? text : Json.write(value);
            }
            return switch (name) {
                case "base" -> call.request().base();
                case "caller" -> call.caller().name();
                case "may.admin" -> Boolean.toString(call.caller().level() >= Callers.LEVELS.indexOf("admin"));
                case "may.sysadmin" -> Boolean.toString(call.caller().level() >= Callers.LEVELS.indexOf("sysadmin"));
                case "xsrf" -> call.caller().session() == null ? "" : call.caller().session().token;
                default -> name.startsWith("sent.") ? String.valueOf(call.sent(name.substring(5)))
                    : instance.filled("{" + name + "}", call.occasion());
            };
        });
    }
}
