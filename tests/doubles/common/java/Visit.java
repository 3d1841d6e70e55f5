// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URLDecoder;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** One request of somebody: who asks, from where, and with which name and password. */
final class Visit {
    private static final Pattern ADDRESS = Pattern.compile("[0-9]{1,3}(?:\\.[0-9]{1,3}){3}|[0-9a-fA-F.:]*:[0-9a-fA-F.:]*");
    private static final int LONGEST = 1 << 20;

    private final Instance instance;
    private final HttpServletRequest request;
    private final Login login;
    private final Occasion occasion;
    private Rest.Answer answer;

    Visit(Instance instance, HttpServletRequest request) throws IOException {
        this.instance = instance;
        this.request = request;
        request.setCharacterEncoding("UTF-8");
        login = instance.logins().stream().filter(one -> one.path().equals(request.getServletPath())).findFirst().orElse(null);
        occasion = instance.arrival(facts());
    }

    Login login() {
        return login;
    }

    Occasion occasion() {
        return occasion;
    }

    /** The answer of a resource; null if a page was asked for. */
    Rest.Answer answer() {
        return answer;
    }

    boolean isOfProgram() {
        return login == null ? isOfRest() : !login.kind().equals("form");
    }

    /** Let the instance do what is asked for; the status of the answer. What goes wrong stays wrong until it is started again. */
    int status() throws IOException {
        String[] basic = Callers.basic(request.getHeader("Authorization"));
        if (!instance.state().equals("RUNNING")) {
            return 500;
        }
        if (login != null ? login.kind().equals("application") : instance.rest().isOfApplications(path())) {
            int refused = refused(basic);
            if (refused != 0) {
                return refused;
            }
        }
        if (login == null && isOfRest()) {
            answer = instance.rest().answer(asked(), occasion);
            return answer.status();
        }
        if (login == null) {
            instance.everyRequest(occasion);
            return 200;
        }
        String[] credentials = sent();
        if (credentials == null) {
            instance.everyRequest(occasion);
            return 200;
        }
        Accounts.Outcome outcome = instance.login(login, credentials[0], credentials[1], occasion);
        if (outcome.section().equals("succeeded") && !login.kind().equals("application")) {
            occasion.header("Set-Cookie", instance.rest().begin(outcome.account(), request.getContextPath()));
        }
        return login.status(outcome);
    }

    /** With what status an application is turned away, or 0: by its name, or its address. */
    private int refused(String[] basic) {
        String application = instance.value("application");
        if (basic == null || !basic[0].equals(application)) {
            return 401;
        }
        occasion.context("application", application);
        String client = client();
        if (client == null) {
            return 500;
        }
        occasion.context("client", client);
        if (!listed("clients").contains(client)) {
            instance.refuse(occasion);
            return 403;
        }
        return 0;
    }

    private String path() {
        return request.getRequestURI().substring(request.getContextPath().length());
    }

    private boolean isOfRest() {
        return path().startsWith("/rest/") || instance.rest().otherPaths().contains(path());
    }

    /** The request as a resource sees it; the container has read a form. */
    private Rest.Request asked() throws IOException {
        Map<String, String> parameters = new HashMap<>();
        request.getParameterMap().forEach((name, values) -> parameters.put(name, values[0]));
        String base = request.getRequestURL().toString().replaceFirst("^(\\w+://[^/]*).*", "$1") + request.getContextPath();
        String path = URLDecoder.decode(path().replace("+", "%2B"), StandardCharsets.UTF_8);
        // The container leaves out the body of what is asked for by HEAD.
        String method = request.getMethod().equals("HEAD") ? "GET" : request.getMethod();
        return new Rest.Request(method, path, parameters, request::getHeader, body(), base);
    }

    private Map<String, String> facts() {
        String peer = request.getRemoteAddr();
        String header = header("X-Forwarded-For");
        Map<String, String> facts = new HashMap<>();
        facts.put("peer", peer);
        facts.put("forwarded", header);
        // As Jira joins them, and as the others do.
        facts.put("addresses", Text.squeezed(header.isBlank() ? peer : header + "," + peer));
        facts.put("list", header.isBlank() ? peer : header + ", " + peer);
        facts.put("method", request.getMethod());
        facts.put("uri", request.getRequestURI());
        facts.put("path", path());
        facts.put("url", request.getRequestURL().toString());
        facts.put("protocol", request.getProtocol());
        facts.put("agent", header("User-Agent"));
        facts.put("referer", header("Referer"));
        facts.put("account", "");
        boolean basic = Callers.basic(request.getHeader("Authorization")) != null;
        facts.put("authentication", basic ? "basic" : "form");
        if (basic) {
            facts.put("session", "-");
        }
        return facts;
    }

    private String header(String name) {
        String value = request.getHeader(name);
        return value == null ? "" : value;
    }

    private List<String> listed(String name) {
        String value = instance.value(name);
        return value == null ? List.of() : List.of(value.split(","));
    }

    /** The address in front of trusted proxies, if all before the product are; none if it is no address. */
    private String client() {
        List<String> chain = new ArrayList<>();
        for (String address : header("X-Forwarded-For").split("[, ]+")) {
            if (!address.isEmpty()) {
                chain.add(address);
            }
        }
        chain.add(request.getRemoteAddr());
        boolean trusted = listed("trusted.proxies").containsAll(chain.subList(1, chain.size()));
        String client = trusted ? chain.get(0) : request.getRemoteAddr();
        try {
            return ADDRESS.matcher(client).matches() ? InetAddress.getByName(client).getHostAddress() : null;
        } catch (UnknownHostException error) {
            return null;
        }
    }

    /** Name and password of a form or of JSON; what JSON does not hold may stand in the query. */
    private String[] sent() throws IOException {
        Map<?, ?> body = login.kind().equals("form") ? Map.of() : json(body());
        String name = body.get(login.user()) instanceof String text ? text : request.getParameter(login.user());
        String password = body.get(login.password()) instanceof String text ? text : request.getParameter(login.password());
        return name == null || password == null ? null : new String[] {name, password};
    }

    private String body() throws IOException {
        return new String(request.getInputStream().readNBytes(LONGEST), StandardCharsets.UTF_8);
    }

    private static Map<?, ?> json(String text) {
        try {
            return Json.read(text) instanceof Map<?, ?> map ? map : Map.of();
        } catch (IllegalArgumentException error) {
            return Map.of();
        }
    }
}
