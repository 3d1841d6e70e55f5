// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How a value is written where a script names it: {NAME|FILTER|FILTER}. */
final class Text {
    private static final Pattern PLACEHOLDER = Pattern.compile("\\{([a-z][A-Za-z.-]*)((?:\\|[a-z]+)*)\\}");
    private static final String BREAKS = "\r\n\u000b\f\u0085\u2028\u2029";

    private Text() {
    }

    /** Fill in placeholders; a name without a value stays as it is, as braces also occur in JSON. */
    static String fill(String text, Function<String, String> known) {
        return PLACEHOLDER.matcher(text).replaceAll(match -> {
            String value = known.apply(match.group(1));
            return Matcher.quoteReplacement(value == null ? match.group() : filtered(value, match.group(2)));
        });
    }

    /** The value after the filters of a placeholder, each with a bar before it. */
    private static String filtered(String value, String filters) {
        String text = value;
        for (String filter : filters.isEmpty() ? new String[0] : filters.substring(1).split("\\|")) {
            text = switch (filter) {
                case "json" -> json(text);
                case "squeezed" -> squeezed(text);
                case "url" -> URLEncoder.encode(text, StandardCharsets.UTF_8);
                case "quoted" -> text.isEmpty() ? "null" : '"' + json(text) + '"';
                case "null" -> text.isEmpty() ? "null" : text;
                default -> throw new IllegalArgumentException("no such filter: " + filter);
            };
        }
        return text;
    }

    /** What stands between the quotes of a JSON string. */
    static String json(String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (char c : text.toCharArray()) {
            switch (c) {
                case '"', '\\' -> out.append('\\').append(c);
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                default -> out.append(c < ' ' ? String.format(Locale.ROOT, "\\u%04X", (int) c) : c);
            }
        }
        return out.toString();
    }

    /** Without white space; what does not break a line stays, as Java sees it. */
    static String squeezed(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.chars().filter(c -> !Character.isWhitespace(c)).forEach(c -> out.append((char) c));
        return out.toString();
    }

    /** With four blanks after each line break: no line but the first begins at the margin. */
    static String indented(String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean halfOfOne = c == '\r' && i + 1 < text.length() && text.charAt(i + 1) == '\n';
            out.append(c).append(BREAKS.indexOf(c) >= 0 && !halfOfOne ? "    " : "");
        }
        return out.toString();
    }
}
