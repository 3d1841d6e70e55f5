// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.driven;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;

/**
 * Serves the resources of an instance without a servlet container, on a port of 127.0.0.1 that it prints, until its standard
 * input ends. Arguments: the script, places NAME=PATH; the place `status` is where the status page is.
 */
public final class Server {
    private Server() {
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, String> places = new HashMap<>();
        for (String argument : arguments) {
            places.put(argument.split("=", 2)[0], argument.substring(argument.indexOf('=') + 1));
        }
        Instance instance = new Instance(Files.readString(Path.of(arguments[0])), places);
        instance.start();
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> serve(instance, places.get("status"), exchange));
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
        System.out.println(server.getAddress().getPort());
        System.in.readAllBytes();
        System.exit(0);
    }

    private static void serve(Instance instance, String status, HttpExchange exchange) throws IOException {
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String type = exchange.getRequestHeaders().getFirst("Content-Type");
        boolean form = type != null && type.startsWith("application/x-www-form-urlencoded");
        Map<String, String> parameters = parameters(exchange.getRequestURI().getRawQuery());
        parameters.putAll(parameters(form ? body : null));
        String path = exchange.getRequestURI().getPath();
        Map<String, String> facts = new HashMap<>(Map.of("peer", "127.0.0.1", "addresses", "127.0.0.1", "list", "127.0.0.1",
            "path", path, "uri", path, "url", "http://localhost" + path, "authentication", "basic", "agent", "", "forwarded", ""));
        Occasion occasion = instance.arrival(facts);
        String base = "http://127.0.0.1:" + exchange.getLocalAddress().getPort();
        Rest.Answer answer = path.equals(status) ? new Rest.Answer(200, "application/json", instance.statusAsJson())
            : instance.rest().answer(new Rest.Request(exchange.getRequestMethod(), path, parameters,
            exchange.getRequestHeaders()::getFirst, form ? "" : body, base), occasion);
        occasion.headers().forEach(header -> exchange.getResponseHeaders().add(header.getKey(), header.getValue()));
        exchange.getResponseHeaders().add("Content-Type", answer.type() + ";charset=UTF-8");
        byte[] bytes = answer.body().getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(answer.status(), bytes.length == 0 ? -1 : bytes.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(bytes);
        }
        instance.answered(occasion, answer.status());
    }

    private static Map<String, String> parameters(String text) {
        Map<String, String> parameters = new HashMap<>();
        for (String pair : text == null ? new String[0] : text.split("&")) {
            String[] parts = pair.split("=", 2);
            parameters.put(parts[0], parts.length > 1 ? URLDecoder.decode(parts[1], StandardCharsets.UTF_8) : "");
        }
        return parameters;
    }
}
