// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.time.LocalTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One request, or what the instance does by itself: what placeholders mean, and what the answer tells. */
public final class Occasion {
    private final int number;
    private final Map<String, String> facts;
    private final Map<String, String> context = new LinkedHashMap<>();
    private final List<Map.Entry<String, String>> headers = new ArrayList<>();

    /** Its identifiers stay the same in everything that is written of it. */
    Occasion(int number, Map<String, String> facts) {
        this.number = number;
        this.facts = new HashMap<>(facts);
        LocalTime now = LocalTime.now();
        this.facts.putIfAbsent("request", now.getHour() * 60 + now.getMinute() + "x" + number + "x1");
        this.facts.putIfAbsent("session", Integer.toString(1_000_000_000 + number, 36));
    }

    int number() {
        return number;
    }

    Map<String, String> facts() {
        return facts;
    }

    boolean knows(String name) {
        return !facts.getOrDefault(name, "").isEmpty();
    }

    void note(String name, String value) {
        facts.put(name, value);
    }

    void context(String name, String value) {
        note(name, value);
        context.put(name, value);
    }

    void header(String name, String value) {
        headers.add(Map.entry(name, value));
    }

    /** What the access log may name, as request attributes. */
    public Map<String, String> context() {
        return context;
    }

    /** Headers of the answer, one or several of a name. */
    public List<Map.Entry<String, String>> headers() {
        return headers;
    }
}
