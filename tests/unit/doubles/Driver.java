// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.driven;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.TimeZone;

/**
 * Runs an instance without a servlet container and lets people log in. Arguments: the script, places NAME=PATH. Every record
 * of standard input is one login: path, name and password, then facts NAME=VALUE; control characters separate them. Fact
 * `zone` is the time zone of that login.
 */
public final class Driver {
    private Driver() {
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, String> places = facts(arguments, 1);
        Instance instance = new Instance(Files.readString(Path.of(arguments[0])), places);
        instance.start();
        String[] attempts = new String(System.in.readAllBytes(), StandardCharsets.UTF_8).split("\u001e");
        for (String attempt : attempts) {
            String[] fields = attempt.split("\u001f", -1);
            Login login = instance.logins().stream().filter(one -> one.path().equals(fields[0])).findFirst().orElseThrow();
            Map<String, String> facts = facts(fields, 3);
            TimeZone.setDefault(TimeZone.getTimeZone(facts.get("zone")));
            Occasion occasion = instance.arrival(facts);
            Accounts.Outcome outcome = instance.login(login, fields[1], fields[2], occasion);
            instance.answered(occasion, login.status(outcome));
            System.out.println(outcome.section() + " " + login.status(outcome));
        }
        System.out.println(instance.statusAsJson());
        System.exit(0);
    }

    private static Map<String, String> facts(String[] fields, int from) {
        Map<String, String> facts = new HashMap<>();
        Arrays.stream(fields).skip(from).map(field -> field.split("=", 2)).forEach(pair -> facts.put(pair[0], pair[1]));
        return facts;
    }
}
