// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.util.Map;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;

/** Runs an instance with a Tomcat that has no server.xml: address and port are properties of the product. */
public final class Embedded {
    private Embedded() {
    }

    public static void main(String[] arguments) throws Exception {
        Instance instance = Launcher.started(Map.of("install", System.getProperty("@PRODUCT@.install")));
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(System.getProperty("java.io.tmpdir"));
        Connector connector = new Connector();
        connector.setProperty("address", instance.value("server.address"));
        connector.setPort(Integer.parseInt(instance.value("server.port")));
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", System.getProperty("java.io.tmpdir"));
        Dashboard.publish(context.getServletContext(), instance);
        Tomcat.addServlet(context, "dashboard", new Dashboard());
        context.addServletMappingDecoded("/status", "dashboard");
        context.addServletMappingDecoded("/dashboard", "dashboard");
        Dashboard.paths(instance).forEach(path -> context.addServletMappingDecoded(path, "dashboard"));
        tomcat.start();
        tomcat.getServer().await();
    }
}
