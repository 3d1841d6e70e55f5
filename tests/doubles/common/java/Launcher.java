// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Runs an instance without any servlet container; one that cannot run ends. */
public final class Launcher {
    private Launcher() {
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Instance instance = started(Map.of());
        if (!instance.state().equals("RUNNING")) {
            System.exit(1);
        }
        Thread.currentThread().join();
    }

    /** Start the instance whose script lies beside the classes; it stops with the virtual machine. */
    static Instance started(Map<String, String> places) throws IOException {
        try (InputStream script = Launcher.class.getResourceAsStream("/instance.txt")) {
            Instance instance = new Instance(new String(script.readAllBytes(), StandardCharsets.UTF_8), places);
            instance.start();
            Runtime.getRuntime().addShutdownHook(new Thread(instance::stop));
            return instance;
        }
    }
}
