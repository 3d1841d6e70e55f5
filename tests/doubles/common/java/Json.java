// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** JSON as maps, lists, texts, numbers, truth values and null. */
final class Json {
    private static final int DEEPEST = 100;

    private final String text;
    private int place;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    /** Reads a whole document; what is no JSON is an IllegalArgumentException. */
    static Object read(String text) {
        Json json = new Json(text);
        Object value = json.value();
        if (json.peek() != 0) {
            throw json.wrong();
        }
        return value;
    }

    static String write(Object value) {
        if (value instanceof Map<?, ?> map) {
            return map.entrySet().stream().map(entry -> write(entry.getKey()) + ":" + write(entry.getValue()))
                .collect(Collectors.joining(",", "{", "}"));
        }
        if (value instanceof Collection<?> list) {
            return list.stream().map(Json::write).collect(Collectors.joining(",", "[", "]"));
        }
        return value instanceof String string ? '"' + Text.json(string) + '"' : String.valueOf(value);
    }

    private IllegalArgumentException wrong() {
        return new IllegalArgumentException("no JSON at " + place);
    }

    /** The next character that is no white space, or 0 at the end. */
    private char peek() {
        while (place < text.length() && Character.isWhitespace(text.charAt(place))) {
            place++;
        }
        return place < text.length() ? text.charAt(place) : 0;
    }

    private void take(char expected) {
        if (peek() != expected) {
            throw wrong();
        }
        place++;
    }

    private Object value() {
        if (++depth > DEEPEST) {
            throw wrong();
        }
        Object value = switch (peek()) {
            case '{' -> object();
            case '[' -> array();
            case '"' -> string();
            default -> word();
        };
        depth--;
        return value;
    }

    private Map<String, Object> object() {
        Map<String, Object> map = new LinkedHashMap<>();
        take('{');
        while (peek() != '}') {
            if (!map.isEmpty()) {
                take(',');
                peek();
            }
            String name = string();
            take(':');
            map.put(name, value());
        }
        place++;
        return map;
    }

    private List<Object> array() {
        List<Object> list = new ArrayList<>();
        take('[');
        while (peek() != ']') {
            if (!list.isEmpty()) {
                take(',');
            }
            list.add(value());
        }
        place++;
        return list;
    }

    private String string() {
        take('"');
        StringBuilder out = new StringBuilder();
        while (place < text.length() && text.charAt(place) != '"') {
            char c = text.charAt(place++);
            if (c == '\\') {
                c = place < text.length() ? text.charAt(place++) : 0;
                int known = "bfnrt".indexOf(c);
                if (c == 'u' && place + 4 <= text.length()) {
                    c = (char) Integer.parseInt(text.substring(place, place + 4), 16);
                    place += 4;
                } else if (known >= 0) {
                    c = "\b\f\n\r\t".charAt(known);
                }
            }
            out.append(c);
        }
        take('"');
        return out.toString();
    }

    private static boolean isOfWord(char c) {
        return Character.isLetterOrDigit(c) || "+-.".indexOf(c) >= 0;
    }

    private Object word() {
        int start = place;
        while (place < text.length() && isOfWord(text.charAt(place))) {
            place++;
        }
        String word = text.substring(start, place);
        switch (word) {
            case "true":
                return true;
            case "false":
                return false;
            case "null":
                return null;
            default:
                // A number that is no whole one stays as precise as it was written.
                return word.matches("-?[0-9]{1,18}") ? (Object) Long.valueOf(word) : Double.valueOf(word);
        }
    }
}
