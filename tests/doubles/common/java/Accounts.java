// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** Who may log in, and how often each name has failed since it last succeeded; names are no matter of case. */
public final class Accounts {
    private static final int LONGEST = 200;
    private static final int MOST = 1000;

    private final Map<String, String> passwords = new HashMap<>();
    private final Map<String, Integer> failures = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Integer> eldest) {
            return size() > MOST;
        }
    };
    private int borne;
    private boolean onlyKnown;

    /** How an attempt went: the section of the script for it, whose account it was about, how often that name has failed. */
    public record Outcome(String section, String account, int failures) {
    }

    void add(String name, String password) {
        passwords.put(key(name), password);
    }

    /** How many failures a name is allowed before it has to solve a challenge, which nobody does here; 0: any number. */
    void bearFailures(int count, boolean onlyOfKnownNames) {
        borne = count;
        onlyKnown = onlyOfKnownNames;
    }

    /** Whether somebody has this password. */
    boolean holds(String name, String password) {
        return password.equals(passwords.get(key(name)));
    }

    synchronized Outcome attempt(String name, String password) {
        String key = key(name);
        String right = passwords.get(key);
        String account = right == null ? "" : key;
        boolean barred = borne > 0 && (right != null || !onlyKnown) && failures.getOrDefault(key, 0) >= borne;
        if (!barred && password.equals(right)) {
            failures.remove(key);
            return new Outcome("succeeded", account, 0);
        }
        int count = failures.merge(key, 1, Integer::sum);
        if (barred) {
            return new Outcome("barred", account, count);
        }
        return new Outcome(right == null ? "unknown" : "failed", account, count);
    }

    private static String key(String name) {
        return name.substring(0, Math.min(name.length(), LONGEST)).toLowerCase(Locale.ROOT);
    }
}
