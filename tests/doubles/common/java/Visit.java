// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
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

    boolean isOfProgram() {
        return login != null && !login.kind().equals("form");
    }

    /** Let the instance do what is asked for; the status of the answer. What goes wrong stays wrong until it is started again. */
    int status() throws IOException {
        String[] basic = basic();
        if (!instance.state().equals("RUNNING")) {
            return 500;
        }
        if (login == null) {
            instance.everyRequest(occasion);
            return 200;
        }
        if (login.kind().equals("application")) {
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
        }
        String[] credentials = login.kind().equals("basic") ? basic : sent();
        if (credentials == null) {
            instance.everyRequest(occasion);
            return login.kind().equals("basic") ? 401 : 200;
        }
        return login.status(instance.login(login, credentials[0], credentials[1], occasion));
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
        facts.put("path", request.getRequestURI().substring(request.getContextPath().length()));
        facts.put("url", request.getRequestURL().toString());
        facts.put("protocol", request.getProtocol());
        facts.put("agent", header("User-Agent"));
        facts.put("referer", header("Referer"));
        facts.put("account", "");
        facts.put("authentication", login != null && login.kind().equals("basic") ? "basic" : "form");
        if (basic() != null) {
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

    /** Name and password of basic authentication. */
    private String[] basic() {
        String header = header("Authorization");
        if (!header.regionMatches(true, 0, "Basic ", 0, 6)) {
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

    /** Name and password of a form or of JSON; what JSON does not hold may stand in the query. */
    private String[] sent() throws IOException {
        Map<String, String> body = login.kind().equals("form") ? Map.of()
            : json(new String(request.getInputStream().readNBytes(LONGEST), StandardCharsets.UTF_8));
        String name = body.getOrDefault(login.user(), request.getParameter(login.user()));
        String password = body.getOrDefault(login.password(), request.getParameter(login.password()));
        return name == null || password == null ? null : new String[] {name, password};
    }

    /** The texts of a JSON object by name; whatever else it holds is left out. */
    private static Map<String, String> json(String text) {
        Map<String, String> values = new HashMap<>();
        String name = null;
        for (int i = text.indexOf('"'); i >= 0; i = text.indexOf('"', i)) {
            StringBuilder out = new StringBuilder();
            for (i++; i < text.length() && text.charAt(i) != '"'; i++) {
                char c = text.charAt(i);
                if (c == '\\' && i + 1 < text.length()) {
                    c = text.charAt(++i);
                    int known = "bfnrt".indexOf(c);
                    if (c == 'u' && i + 4 < text.length()) {
                        c = (char) Integer.parseInt(text.substring(i + 1, i + 5), 16);
                        i += 4;
                    } else if (known >= 0) {
                        c = "\b\f\n\r\t".charAt(known);
                    }
                }
                out.append(c);
            }
            for (i++; i < text.length() && Character.isWhitespace(text.charAt(i)); i++) {
                // On to what follows the text.
            }
            if (text.startsWith(":", i)) {
                name = out.toString();
            } else if (name != null) {
                values.put(name, out.toString());
                name = null;
            }
        }
        return values;
    }
}
