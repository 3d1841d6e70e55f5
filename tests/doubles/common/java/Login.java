// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

/**
 * Where somebody can log in. `kind` is form, json, basic (any resource of Rest), or application: the last is JSON about
 * somebody, sent by an application that names itself with basic authentication and may only ask from some addresses.
 */
public record Login(String path, String kind, String user, String password, int failed, int succeeded, String where) {
    /** Reads a step: path, kind, fields of name and password, status of failure and success, page after success. */
    static Login of(String[] words) {
        return new Login(words[0], words[1], words[2], words[3], Integer.parseInt(words[4]), Integer.parseInt(words[5]),
            words.length > 6 ? words[6] : "");
    }

    /** The status of an answer; a program that failed too often is told so. */
    public int status(Accounts.Outcome outcome) {
        if (outcome.section().equals("succeeded")) {
            return succeeded;
        }
        return outcome.section().equals("barred") && failed == 401 ? 403 : failed;
    }
}
