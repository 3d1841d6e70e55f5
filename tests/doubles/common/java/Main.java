// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package @MAIN_PACKAGE@;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;

/** The name a product has in the list of processes; its classes lie beside it or in a web application around it. */
public final class @MAIN_CLASS@ {
    private @MAIN_CLASS@() {
    }

    public static void main(String[] arguments) throws Exception {
        File here = new File(@MAIN_CLASS@.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        List<URL> path = new ArrayList<>(List.of(new File(here, "WEB-INF/classes/").toURI().toURL()));
        File[] jars = new File(here, "WEB-INF/lib").listFiles();
        for (File jar : jars == null ? new File[0] : jars) {
            path.add(jar.toURI().toURL());
        }
        ClassLoader loader = new URLClassLoader(path.toArray(new URL[0]));
        Thread.currentThread().setContextClassLoader(loader);
        loader.loadClass("dc.testing.@PRODUCT@.@LAUNCHER@").getMethod("main", String[].class).invoke(null, (Object) arguments);
    }
}
